// Ids of constructs. Logical ids are made from them, and AWS replaces a resource whose id changes.

/** The id of a resource with a name: `process-tasks` has `ProcessTasks`. */
export function idOf(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`)
    .join('');
}
