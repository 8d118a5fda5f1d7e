// The network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { production, productionWithNodes, propertiesOfType } from './support.ts';

test('the network has no route to or from the internet', () => {
  const subnets = propertiesOfType(production, 'AWS::EC2::Subnet');
  assert.equal(subnets.length, 3);
  for (const { MapPublicIpOnLaunch } of subnets) {
    assert.equal(MapPublicIpOnLaunch, false);
  }
  for (const type of ['AWS::EC2::NatGateway', 'AWS::EC2::InternetGateway', 'AWS::EC2::Route']) {
    assert.equal(propertiesOfType(production, type).length, 0, type);
  }
});

test('only functions may connect to the cache and to the interface endpoint', () => {
  const ingressOf = (template: Template) =>
    propertiesOfType(template, 'AWS::EC2::SecurityGroupIngress')
      .map(({ FromPort, ToPort, SourceSecurityGroupId }) => {
        assert.match(JSON.stringify(SourceSecurityGroupId), /Functions/);
        return [FromPort, ToPort];
      })
      .toSorted();
  const https = [443, 443];
  // A serverless cache has a second endpoint for reads.
  assert.deepEqual(ingressOf(production), [https, [6379, 6380]]);
  assert.deepEqual(ingressOf(productionWithNodes), [https, [6380, 6380]]);
  const groups = JSON.stringify(propertiesOfType(production, 'AWS::EC2::SecurityGroup'));
  assert.equal(groups.includes('SecurityGroupIngress'), false);
});

test('endpoints allow only the calls of the functions', () => {
  const policies = propertiesOfType(production, 'AWS::EC2::VPCEndpoint').map(
    ({ PolicyDocument }) => PolicyDocument.Statement,
  );
  const statements = policies.flat();
  assert.deepEqual(statements.map(({ Action }) => Action).toSorted(), ['dynamodb:*', 'events:PutEvents']);
  for (const statement of statements) {
    assert.notEqual(JSON.stringify(statement.Resource), '"*"');
  }
});
