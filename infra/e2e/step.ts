// Runs the steps of the test and prints how long each takes.

const started = Date.now();

/** Runs a step and prints its description with the time of its start and its duration. */
export async function step<T>(description: string, action: () => Promise<T>): Promise<T> {
  const from = Date.now();
  try {
    return await action();
  } finally {
    console.log(`${seconds(from - started).padStart(6)} s  ${description} (${seconds(Date.now() - from)} s)`);
  }
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
