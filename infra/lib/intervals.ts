// How often the schedules invoke functions. The environment of the functions, the periods of
// alarms and the cost model use the same values.

import { Duration } from 'aws-cdk-lib';

/**
 * `advance-queues` looks for queues with something due. Reads and commands advance a queue anyway.
 */
export const ADVANCE_INTERVAL = Duration.minutes(1);

/** `maintain-cache` runs upkeep, which warms copies of queues until the next run. */
export const UPKEEP_INTERVAL = Duration.minutes(15);

/** `maintain-cache` watches thresholds, which decide by whole minutes. */
export const WATCH_INTERVAL = Duration.minutes(1);
