// All tests in one process: the CDK takes a second to load.

import './alarms.test.ts';
import './binaries.test.ts';
import './costs.test.ts';
import './data.test.ts';
import './docs.test.ts';
import './edge.test.ts';
import './functions.test.ts';
import './options.test.ts';
