// Bills side by side, as a table of Markdown.

import { stages } from '../lib/settings.ts';
import { type Bill, bill, BUSY, IDLE } from './model.ts';

export function table(codeDirectory: string): string {
  const columns: [string, Bill][] = [
    ['dev, idle', bill(stages.dev, codeDirectory, IDLE)],
    ['production, idle', bill(stages.production, codeDirectory, IDLE)],
    ['production, busy', bill(stages.production, codeDirectory, BUSY)],
  ];
  const names = [...new Set(columns.flatMap(([, costs]) => Object.keys(costs)))];
  const dollars = (value: number | undefined) => (value === undefined ? '' : value.toFixed(2));
  const row = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const total = (costs: Bill) => Object.values(costs).reduce((sum, value) => sum + value, 0);
  return [
    row(['$ a month', ...columns.map(([title]) => title)]),
    row(['---', ...columns.map(() => '---:')]),
    ...names.map((name) => row([name, ...columns.map(([, costs]) => dollars(costs[name]))])),
    row(['**all**', ...columns.map(([, costs]) => `**${dollars(total(costs))}**`)]),
  ].join('\n');
}
