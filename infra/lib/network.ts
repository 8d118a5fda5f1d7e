// The network of a shared cache and of the functions that use it: isolated subnets in three zones,
// without access to or from the internet. Functions reach DynamoDB, the cache, and the queues and
// the bus that they publish events to. Without a shared cache there is no network.
//
// They need nothing else in the network: Lambda delivers events and takes logs and traces outside
// of it, and IAM tokens for the cache are signed locally.

import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

/** A VPC that is used, and not created. */
export interface ExistingNetwork {
  /** The VPC. It needs DNS host names and DNS support. */
  readonly vpc: ec2.IVpc;
  /**
   * The subnets of the functions and of the cache.
   *
   * @default - isolated subnets
   */
  readonly subnets?: ec2.SubnetSelection;
  /**
   * Creates the endpoints that functions need. Set it to false if the VPC has them, or has NAT
   * gateways.
   *
   * @default true
   */
  readonly createEndpoints?: boolean;
}

export interface NetworkProps {
  /** ARNs of the tables. The DynamoDB endpoint allows no others. */
  tableArns: string[];
  /** The queues to which functions publish. Without any, there is no endpoint of SQS. */
  queueArns: string[];
  /** The queues whose depth is shown, if there is an endpoint of SQS. */
  monitoredQueueArns: string[];
  /** The bus to which functions publish. Without it, there is no endpoint of EventBridge. */
  busArn?: string;
  cachePorts: ec2.Port;
  /** Managed instances send logs and traces through the network, and need endpoints for them. */
  hasInstances: boolean;
  logRetention: logs.RetentionDays;
  /** Unset: a VPC is created. */
  existing?: ExistingNetwork;
}

export class Network extends Construct {
  readonly vpc: ec2.IVpc;
  readonly subnets: ec2.ISubnet[];
  /** The security group of all functions. */
  readonly functions: ec2.SecurityGroup;
  readonly cache: ec2.SecurityGroup;
  /** Whether functions reach SQS. */
  readonly reachesSqs: boolean;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    const { existing } = props;
    this.vpc = existing?.vpc ?? this.createVpc(props.logRetention);
    this.subnets = this.vpc.selectSubnets(existing?.subnets ?? { subnetType: ec2.SubnetType.PRIVATE_ISOLATED }).subnets;
    this.functions = this.addSecurityGroup('Functions', 'Millrace functions');
    this.cache = this.addSecurityGroup('Cache', 'Millrace cache');
    this.functions.addEgressRule(this.cache, props.cachePorts, 'cache');
    this.cache.addIngressRule(this.functions, props.cachePorts, 'functions');
    // The addresses of DynamoDB are public. Other public addresses are unreachable: isolated
    // subnets have no route to the internet.
    this.functions.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'endpoints');
    const createsEndpoints = existing?.createEndpoints ?? true;
    this.reachesSqs = !createsEndpoints || props.queueArns.length > 0;
    if (createsEndpoints) {
      this.addEndpoints(props);
    }
  }

  private addEndpoints(props: NetworkProps): void {
    this.addDynamoDbEndpoint(props.tableArns);
    const { SQS, EVENTBRIDGE, CLOUDWATCH_LOGS, XRAY } = ec2.InterfaceVpcEndpointAwsService;
    if (props.queueArns.length > 0) {
      this.addInterfaceEndpoint('Sqs', SQS, [
        ['sqs:SendMessage', props.queueArns],
        ['sqs:GetQueueAttributes', props.monitoredQueueArns],
      ]);
    }
    if (props.busArn !== undefined) {
      this.addInterfaceEndpoint('EventBridge', EVENTBRIDGE, [['events:PutEvents', [props.busArn]]]);
    }
    if (props.hasInstances) {
      this.addInterfaceEndpoint('Logs', CLOUDWATCH_LOGS, [
        ['logs:CreateLogStream', ['*']],
        ['logs:PutLogEvents', ['*']],
      ]);
      this.addInterfaceEndpoint('XRay', XRAY, [
        ['xray:PutTraceSegments', ['*']],
        ['xray:PutTelemetryRecords', ['*']],
      ]);
    }
  }

  private createVpc(logRetention: logs.RetentionDays): ec2.Vpc {
    const vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr('10.0.0.0/16'),
      maxAzs: 3,
      natGateways: 0,
      // A /20 in each zone has addresses for 4,000 network interfaces. Functions share interfaces.
      subnetConfiguration: [{ name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 20 }],
      restrictDefaultSecurityGroup: false,
    });
    // Accepted connections are many and rarely useful for an investigation.
    vpc.addFlowLog('Refused', {
      destination: ec2.FlowLogDestination.toCloudWatchLogs(
        new logs.LogGroup(this, 'FlowLog', { retention: logRetention, removalPolicy: RemovalPolicy.DESTROY }),
      ),
      trafficType: ec2.FlowLogTrafficType.REJECT,
    });
    return vpc;
  }

  private addSecurityGroup(id: string, description: string): ec2.SecurityGroup {
    return new ec2.SecurityGroup(this, id, { vpc: this.vpc, description, allowAllOutbound: false });
  }

  private addDynamoDbEndpoint(tableArns: string[]): void {
    const endpoint = new ec2.GatewayVpcEndpoint(this, 'DynamoDb', {
      vpc: this.vpc,
      service: ec2.GatewayVpcEndpointAwsService.DYNAMODB,
      subnets: [{ subnets: this.subnets }],
    });
    endpoint.addToPolicy(
      new iam.PolicyStatement({
        principals: [new iam.AnyPrincipal()],
        actions: ['dynamodb:*'],
        resources: tableArns.flatMap((arn) => [arn, `${arn}/index/*`]),
      }),
    );
  }

  /** Functions may connect to the endpoint, which allows certain actions on certain resources. */
  private addInterfaceEndpoint(
    id: 'Sqs' | 'EventBridge' | 'Logs' | 'XRay',
    service: ec2.InterfaceVpcEndpointAwsService,
    allowed: [action: string, resources: string[]][],
  ): void {
    const securityGroup = this.addSecurityGroup(`${id}Endpoint`, `Millrace endpoint of ${service.shortName}`);
    securityGroup.addIngressRule(this.functions, ec2.Port.tcp(443), 'functions');
    const endpoint = new ec2.InterfaceVpcEndpoint(this, id, {
      vpc: this.vpc,
      subnets: { subnets: this.subnets },
      service,
      securityGroups: [securityGroup],
      open: false,
    });
    for (const [action, resources] of allowed) {
      endpoint.addToPolicy(
        new iam.PolicyStatement({ principals: [new iam.AnyPrincipal()], actions: [action], resources }),
      );
    }
  }
}
