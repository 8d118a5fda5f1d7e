// The monthly costs of the stages as a Markdown table. `docs/deploying.md` contains it.

import { stages } from '../lib/settings.ts';
import { BUSY, type Costs, IDLE, monthlyCosts } from './model.ts';

export function costTable(codeDirectory: string): string {
  const columns: [string, Costs][] = [
    ['dev, idle', monthlyCosts(stages.dev, codeDirectory, IDLE)],
    ['production, idle', monthlyCosts(stages.production, codeDirectory, IDLE)],
    ['production, busy', monthlyCosts(stages.production, codeDirectory, BUSY)],
  ];
  const items = [...new Set(columns.flatMap(([, costs]) => Object.keys(costs)))];
  return [
    row(['$ a month', ...columns.map(([title]) => title)]),
    row(['---', ...columns.map(() => '---:')]),
    ...items.map((item) => row([item, ...columns.map(([, costs]) => dollars(costs[item] ?? 0))])),
    row(['**all**', ...columns.map(([, costs]) => `**${dollars(total(costs))}**`)]),
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
