import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Ends a run with plain lines: what was skipped and why, what failed, then `N passed, N failed`. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    const skipped: string[] = [];
    const failed = unhandled.map(({ message }) => `failed: outside of every test: ${message}`);
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      // A module that could not even be loaded has no tests that could have failed.
      if (module.state() === 'failed' && !tests.some((test) => test.result().state === 'failed')) {
        counts.failed += 1;
        failed.push(`failed: ${module.relativeModuleId}: it could not be loaded`);
      }
      for (const test of tests) {
        const { state } = test.result();
        if (state === 'passed') counts.passed += 1;
        else if (state === 'failed') {
          counts.failed += 1;
          failed.push(`failed: ${module.relativeModuleId}: ${test.fullName}`);
        } else {
          counts.skipped += 1;
          const result = test.result();
          const note = 'note' in result && result.note ? result.note : 'no reason was given';
          skipped.push(`skipped: ${test.fullName}: ${note}`);
        }
      }
    }
    process.on('exit', () => {
      for (const line of [...skipped, ...failed]) console.log(line);
      const tail = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
      console.log(`${counts.passed} passed, ${counts.failed} failed${tail}`);
    });
  }
}
