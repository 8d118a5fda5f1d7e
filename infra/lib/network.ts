// The network: isolated subnets in three zones. Nothing in it reaches the internet, nor is reached from there; what
// functions call lies behind endpoints.
//
// Lambda itself fetches events, writes logs and traces from outside the network, and IAM tokens for the cache are
// signed without a call. So functions call DynamoDB, the cache, and (advance-queues) SQS, and nothing else.

import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

export interface NetworkProps {
  /** ARNs of the tables: the endpoint lets nothing else through. */
  tableArns: string[];
  /** The queue that is sent to from inside, if any. */
  ticksQueueArn?: string;
  cachePort: number;
  logRetention: logs.RetentionDays;
}

export class Network extends Construct {
  readonly vpc: ec2.Vpc;
  /** Of all functions. */
  readonly functions: ec2.SecurityGroup;
  readonly cache: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);

    this.vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr('10.0.0.0/16'),
      maxAzs: 3,
      natGateways: 0,
      // A /20 in each zone: an address for each of 4,000 network interfaces, of which functions share few.
      subnetConfiguration: [{ name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 20 }],
      restrictDefaultSecurityGroup: false,
    });
    // Accepted connections are many and tell little; refused ones are what somebody looks for.
    this.vpc.addFlowLog('Refused', {
      destination: ec2.FlowLogDestination.toCloudWatchLogs(
        new logs.LogGroup(this, 'FlowLog', { retention: props.logRetention, removalPolicy: RemovalPolicy.DESTROY }),
      ),
      trafficType: ec2.FlowLogTrafficType.REJECT,
    });

    this.functions = new ec2.SecurityGroup(this, 'Functions', {
      vpc: this.vpc,
      description: 'Millrace functions',
      allowAllOutbound: false,
    });
    this.cache = new ec2.SecurityGroup(this, 'Cache', {
      vpc: this.vpc,
      description: 'Millrace cache',
      allowAllOutbound: false,
    });
    const cachePort = ec2.Port.tcp(props.cachePort);
    this.functions.addEgressRule(this.cache, cachePort, 'cache');
    this.cache.addIngressRule(this.functions, cachePort, 'functions');
    // The addresses of DynamoDB are public ones. There is no way to others: the subnets have no route.
    this.functions.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'endpoints');

    const dynamodb = this.vpc.addGatewayEndpoint('DynamoDb', { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB });
    dynamodb.addToPolicy(
      new iam.PolicyStatement({
        principals: [new iam.AnyPrincipal()],
        actions: ['dynamodb:*'],
        resources: props.tableArns.flatMap((arn) => [arn, `${arn}/index/*`]),
      }),
    );

    if (props.ticksQueueArn !== undefined) {
      const endpoint = new ec2.SecurityGroup(this, 'SqsEndpoint', {
        vpc: this.vpc,
        description: 'Millrace endpoint of SQS',
        allowAllOutbound: false,
      });
      endpoint.addIngressRule(this.functions, ec2.Port.tcp(443), 'functions');
      const sqs = this.vpc.addInterfaceEndpoint('Sqs', {
        service: ec2.InterfaceVpcEndpointAwsService.SQS,
        securityGroups: [endpoint],
        open: false,
      });
      sqs.addToPolicy(
        new iam.PolicyStatement({
          principals: [new iam.AnyPrincipal()],
          actions: ['sqs:SendMessage'],
          resources: [props.ticksQueueArn],
        }),
      );
    }
  }
}
