// The stack of the workers.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { WorkersStack } from './workers-stack.ts';

const codeDirectory = mkdtempSync(join(tmpdir(), 'millrace-workers-'));
after(() => rmSync(codeDirectory, { recursive: true, force: true }));
mkdirSync(join(codeDirectory, 'worker-rust'));
writeFileSync(join(codeDirectory, 'worker-rust/bootstrap'), '');

const outputs = {
  BusName: 'millrace-dev-bus',
  CommandsQueueUrl: 'https://sqs.eu-central-1.amazonaws.com/123456789012/millrace-dev-commands.fifo',
  ProgressQueueUrl: 'https://sqs.eu-central-1.amazonaws.com/123456789012/millrace-dev-progress',
};
const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false });
const template = Template.fromStack(new WorkersStack(app, 'workers', { outputs, codeDirectory }));

test('each kind of task has a rule for its started tasks of reported work', () => {
  for (const kind of ['harvest.wood', 'forge.iron', 'mine.stone']) {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventBusName: outputs.BusName,
      EventPattern: {
        'source': ['millrace'],
        'detail-type': ['taskStarted'],
        'detail': { task: { kind: [kind], units: [{ exists: true }] } },
      },
    });
  }
});

test('the queues of the workers have dead-letter queues, and messages fail one by one', () => {
  const queue = { VisibilityTimeout: 360, RedrivePolicy: Match.objectLike({ maxReceiveCount: 3 }) };
  template.resourcePropertiesCountIs('AWS::SQS::Queue', queue, 3);
  template.hasOutput('WoodDeadLettersUrl', {});
  const source = { FunctionResponseTypes: ['ReportBatchItemFailures'] };
  template.resourcePropertiesCountIs('AWS::Lambda::EventSourceMapping', source, 4);
});

test('the TypeScript worker and the Rust worker share the tasks of one kind', () => {
  const sources = Object.values(template.findResources('AWS::Lambda::EventSourceMapping')) as {
    Properties: { EventSourceArn: { 'Fn::GetAtt': [string] }; FunctionName: { Ref: string } };
  }[];
  const receivers = sources.map(({ Properties: { EventSourceArn, FunctionName } }) => {
    const [queue] = EventSourceArn['Fn::GetAtt'];
    return [queue, FunctionName.Ref].map((id) => /^[A-Z][a-z]+/.exec(id)?.[0]).join(' ');
  });
  assert.deepEqual(receivers.toSorted(), ['Iron Rust', 'Stone Rust', 'Stone Type', 'Wood Type']);
});

test('workers may send to the commands queue and to the progress queue only', () => {
  const policies = Object.values(template.findResources('AWS::IAM::Policy')) as {
    Properties: { PolicyDocument: { Statement: { Action: string | string[]; Resource: unknown }[] } };
  }[];
  assert.equal(policies.length, 2);
  for (const { Properties } of policies) {
    const sending = Properties.PolicyDocument.Statement.filter(({ Action }) => Action === 'sqs:SendMessage');
    const names = [...JSON.stringify(sending).matchAll(/:(millrace-dev-[a-z.]+)/g)].map(([, name]) => name);
    assert.deepEqual(names, ['millrace-dev-commands.fifo', 'millrace-dev-progress']);
  }
});

test('workers know the queues that they send to', () => {
  const variables = { COMMANDS_QUEUE_URL: outputs.CommandsQueueUrl, PROGRESS_QUEUE_URL: outputs.ProgressQueueUrl };
  template.resourcePropertiesCountIs('AWS::Lambda::Function', { Environment: { Variables: variables } }, 2);
});
