/**
 * The one rule for tests against real servers: a missing server is reported as skipped, or fails with
 * REQUIRE_PEERS=1.
 *
 * ```ts
 * const there = await requirePeer('PostgreSQL', findPostgres, 'apt-get install postgresql-15');
 * describe.skipIf(!there)('…', () => { … });
 * ```
 *
 * @param available tells whether the server can be started on this machine.
 * @param howToGetIt printed when it cannot.
 */
export async function requirePeer(
  name: string,
  available: () => boolean | Promise<boolean>,
  howToGetIt: string,
): Promise<boolean> {
  if (await available()) return true;
  const missing = `${name} is not on this machine (${howToGetIt}).`;
  if (process.env['REQUIRE_PEERS'] === '1') throw new Error(`${missing} REQUIRE_PEERS=1 wants it.`);
  process.stderr.write(`SKIPPED: ${missing}\n`);
  return false;
}
