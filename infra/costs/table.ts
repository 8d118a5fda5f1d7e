// Costs as Markdown tables. `docs/deploying.md` contains them.

import { type CacheSettings, NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import { BUSY, type Costs, IDLE, monthlyCosts } from './model.ts';
import { worstHourOfPlayer, worstHourOfStranger } from './worst-case.ts';

const { dev, production } = stages;

/** The idle and the busy month of production with each kind of cache, and an idle month of dev. */
export function costTable(codeDirectory: string): string {
  const caches: CacheSettings[] = [{ kind: 'none' }, production.cache, NODE_CACHE];
  const costs = (settings: Settings) =>
    [IDLE, BUSY].map((load) => ({
      title: `${settings.cache.kind}, ${load === IDLE ? 'idle' : 'busy'}`,
      costs: monthlyCosts(settings, codeDirectory, load),
    }));
  const columns = caches.flatMap((cache) =>
    costs(cache.kind === production.cache.kind ? production : { ...production, cache }),
  );
  return table('$ a month', [{ title: 'dev, idle', costs: monthlyCosts(dev, codeDirectory, IDLE) }, ...columns]);
}

/** Brakes that a stage of a few thousand players does not notice. */
export const BRAKED: Settings = {
  ...production,
  tables: { maxReadUnits: 1_000, maxWriteUnits: 200 },
  functions: {
    ...production.functions,
    'queue-api': { ...production.functions['queue-api'], reservedConcurrency: 50 },
  },
  events: { ...production.events, bus: false },
  api: { ...production.api, requestsPerSecond: 100, burst: 200 },
};

/** The worst hour that one player, and that a caller without a token, can cause. */
export function worstCaseTable(): string {
  return table('$ an hour, at most', [
    { title: 'dev, a player', costs: worstHourOfPlayer(dev) },
    { title: 'production, a player', costs: worstHourOfPlayer(production) },
    { title: 'with brakes, a player', costs: worstHourOfPlayer(BRAKED) },
    { title: 'production, no token', costs: worstHourOfStranger(production) },
  ]);
}

function table(unit: string, columns: { title: string; costs: Costs }[]): string {
  const items = [...new Set(columns.flatMap(({ costs }) => Object.keys(costs)))];
  return [
    row([unit, ...columns.map(({ title }) => title)]),
    row(['---', ...columns.map(() => '---:')]),
    ...items.map((item) => row([item, ...columns.map(({ costs }) => dollars(costs[item] ?? 0))])),
    row(['**all**', ...columns.map(({ costs }) => `**${dollars(total(costs))}**`)]),
  ].join('\n');
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function dollars(value: number): string {
  return value.toFixed(2);
}

function total(costs: Costs): number {
  return Object.values(costs).reduce((sum, value) => sum + value, 0);
}
