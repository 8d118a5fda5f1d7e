// A budget of the account, which tells addresses when it will be exceeded.

import * as budgets from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';
import type { Settings, Subscription } from './settings.ts';

export interface BudgetProps {
  prefix: string;
  settings: NonNullable<Settings['budget']>;
  subscribers: Subscription[];
}

/**
 * It is about all costs of the account: a budget by tags counts nothing until they are activated.
 */
export class Budget extends Construct {
  constructor(scope: Construct, id: string, { prefix, settings, subscribers }: BudgetProps) {
    super(scope, id);
    const addresses = subscribers.flatMap((subscriber) => ('email' in subscriber ? [subscriber.email] : []));
    const notifyAt = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notification: { notificationType, comparisonOperator: 'GREATER_THAN', threshold, thresholdType: 'PERCENTAGE' },
      subscribers: addresses.map((address) => ({ subscriptionType: 'EMAIL', address })),
    });
    new budgets.CfnBudget(this, 'Month', {
      budget: {
        budgetName: `${prefix}month`,
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: settings.dollarsAMonth, unit: 'USD' },
      },
      notificationsWithSubscribers: [notifyAt('ACTUAL', 80), notifyAt('FORECASTED', 100)],
    });
  }
}
