// All tests in one process, because loading the CDK takes a second. Those of the examples use the
// same packages.

import './alarms.test.ts';
import './api.test.ts';
import './binaries.test.ts';
import './cache.test.ts';
import './costs.test.ts';
import './deploy.test.ts';
import './deployment.test.ts';
import './docs.test.ts';
import './emulator.test.ts';
import './event-publishing.test.ts';
import './event-sources.test.ts';
import './functions.test.ts';
import './kinds.test.ts';
import './logical-ids.test.ts';
import './managed-instances.test.ts';
import './millrace.test.ts';
import './monitoring.test.ts';
import './network.test.ts';
import './notifications.test.ts';
import './options.test.ts';
import './permissions.test.ts';
import './queues.test.ts';
import './rollback-alarms.test.ts';
import './schemas.test.ts';
import './stack.test.ts';
import './tables.test.ts';
import './validation.test.ts';
import '../../examples/infra/workers-stack.test.ts';
import '../../examples/worker-typescript/worker.test.ts';
