// The users of the shared cache. A user may run only the commands of its functions, on the keys of
// this deployment.

import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';

export type Engine = 'valkey' | 'redis';

/** The Redis commands that every function sends (shared/cache). Every user may also log in. */
const COMMANDS = [
  'get',
  'getex',
  'mget',
  'set',
  'getrange',
  'del',
  'evalsha',
  'script|load',
  'info',
  'ping',
  'cluster|slots',
  'asking',
  // The set of active players, for warm-up.
  'zadd',
  'zremrangebyrank',
  'pexpire',
  // The performance history, and changes of its thresholds.
  'bitfield',
  'publish',
];

/** The additional Redis commands of upkeep. */
const UPKEEP_COMMANDS = ['scan', 'unlink', 'pttl', 'dbsize', 'zrevrangebyscore', 'zremrangebyscore'];

/**
 * The client library names itself when it connects. Redis 7.1 does not know the command, and its
 * users could not be created with it.
 */
const COMMANDS_OF_ENGINE: Record<Engine, string[]> = { valkey: ['client|setinfo'], redis: [] };

/** `tasks` reads and writes copies of queues. `upkeep` may also list and delete all keys. */
export type CacheUser = 'tasks' | 'upkeep';

const COMMANDS_OF: Record<CacheUser, string[]> = {
  tasks: COMMANDS,
  upkeep: [...COMMANDS, ...UPKEEP_COMMANDS],
};

export interface CacheUsersProps {
  prefix: string;
  engine: Engine;
}

export class CacheUsers extends Construct {
  readonly group: elasticache.CfnUserGroup;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: CacheUsersProps,
  ) {
    super(scope, id);
    const { prefix, engine } = props;
    const members = (Object.keys(COMMANDS_OF) as CacheUser[]).map((user) => this.addUser(user));
    if (engine === 'redis') {
      // A user group of Redis must have a user with the name default. This one cannot log in.
      members.push(
        new elasticache.CfnUser(this, 'Default', {
          engine,
          userId: `${prefix}default`,
          userName: 'default',
          authenticationMode: { Type: 'no-password-required' },
          accessString: 'off ~* -@all',
        }),
      );
    }
    this.group = new elasticache.CfnUserGroup(this, 'Group', {
      engine,
      userGroupId: `${prefix}users`,
      userIds: members.map((member) => member.ref),
    });
  }

  /** The name of a user, which is its id too: IAM authentication requires it. */
  nameOf(user: CacheUser): string {
    return `${this.props.prefix}${user}`;
  }

  private addUser(user: CacheUser): elasticache.CfnUser {
    const { prefix, engine } = this.props;
    const commands = [...COMMANDS_OF[user], ...COMMANDS_OF_ENGINE[engine]].map((command) => `+${command}`);
    return new elasticache.CfnUser(this, idOf(user), {
      engine,
      userId: this.nameOf(user),
      userName: this.nameOf(user),
      authenticationMode: { Type: 'iam' },
      accessString: `on ~${prefix}* resetchannels &${prefix}thresholds -@all ${commands.join(' ')}`,
    });
  }
}
