import type { Breach } from './breach.ts';
import type { Evidence } from './evidence.ts';
import type { Verdict } from './verdict.ts';

/** The campaign's result as data, for the file. */
export function resultOf(evidence: Evidence, verdict: Verdict) {
  const { options, seed, seconds, views, lived, outages, forGood } = evidence;
  const { takeovers, certificates, points, breaches } = verdict;
  const { list: _each, ...takeover } = takeovers;
  const killed = lived.filter((life) => life.killed);
  const atPoint = killed.filter(({ trail }) => trail.at(-1)?.word === 'die').length;
  return {
    passed: breaches.length === 0,
    seed,
    options,
    seconds: Math.round(seconds),
    processes: views.length,
    groups: groupCounts(evidence),
    outcomes: outcomeCounts(evidence),
    kills: { all: killed.length, atPoint, atRandom: killed.length - atPoint },
    diedForGood: forGood,
    postgresOutages: outages.map(({ from, to }) => to - from),
    signData: signDataCounts(evidence),
    certificates,
    takeover: { ...takeover, processes: takeovers.list.length },
    points,
    breaches,
  };
}

export type Result = ReturnType<typeof resultOf>;

function groupCounts({ groupOf }: Evidence): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of groupOf.values()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function outcomeCounts({ views, journal }: Evidence): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { id } of views) {
    const outcome = journal.get(id)?.outcome ?? 'open or lost';
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

function signDataCounts({ views }: Evidence) {
  const counts = views.map(({ carriedOut }) => carriedOut.signData);
  return {
    never: counts.filter((count) => count === 0).length,
    once: counts.filter((count) => count === 1).length,
    more: counts.filter((count) => count > 1).length,
  };
}

export function table(result: Result): string {
  const { options, kills, certificates, takeover, signData } = result;
  const hit = result.points.filter(({ hits }) => hits > 0);
  const reachable = result.points.filter(({ reach }) => reach === 'reachable');
  const missed = reachable.filter(({ hits }) => hits === 0);
  const rows: (readonly [string, string])[] = [
    ['journal, instances', `${options.journal}, ${options.instances}`],
    ['seed, faults', `${result.seed}, ${options.faults}`],
    ['duration', `${result.seconds} s`],
    ['processes', `${result.processes}: ${counted(result.outcomes)}`],
    ['kills', `${kills.all}: ${kills.atPoint} at a point, ${kills.atRandom} at random`],
    ['died for good', `${result.diedForGood}`],
    ['PostgreSQL restarts', `${result.postgresOutages.length}`],
    [
      'signData carried out',
      `never ${signData.never}, once ${signData.once}, more ${signData.more}`,
    ],
    [
      'certificates',
      `${certificates.issued} issued, ${certificates.revoked} revoked, ${certificates.told} told as orphans`,
    ],
    [
      'takeover',
      `${takeover.processes} processes of ${takeover.deathsWithWork} dead: p50 ${takeover.p50Ms} ms, max ${takeover.maxMs} ms, limit ${takeover.limitMs} ms`,
    ],
    ['points hit', `${reachable.length - missed.length} of ${reachable.length} reachable ones`],
    ['breaches', `${result.breaches.length}`],
  ];
  const width = Math.max(...hit.map(({ name }) => name.length), 20);
  return [
    '',
    ...rows.map(([name, value]) => `${name.padEnd(22)}${value}`),
    '',
    `${'point'.padEnd(width)}  hits`,
    ...hit.map(({ name, hits }) => `${name.padEnd(width)}  ${String(hits).padStart(4)}`),
    ...missed.map(({ name }) => `${name.padEnd(width)}     0  reachable, not hit`),
    ...seldomLines(result, width),
    `${result.points.filter(({ reach }) => reach === 'unreachable').length} more are out of reach; the JSON says why.`,
    '',
  ].join('\n');
}

function seldomLines({ points }: Result, width: number): string[] {
  return points
    .filter(({ reach, hits }) => reach === 'seldom' && hits === 0)
    .map(({ name, passedBy, because }) => {
      const passed = passedBy > 0 ? `passed by ${passedBy}` : 'not passed';
      return `${name.padEnd(width)}     0  seldom, ${passed}: ${because}`;
    });
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

const mostStories = 10;
const longestStory = 40;

/** For each breach what the journal and the logs have to say about its process. */
export function stories(evidence: Evidence, breaches: readonly Breach[]): string {
  const lines: string[] = [];
  for (const { kind, processId, what } of breaches.slice(0, mostStories)) {
    lines.push(`BREACH ${kind}${processId === undefined ? '' : ` ${processId}`}: ${what}`);
    if (processId === undefined) continue;
    lines.push(`  group: ${evidence.groupOf.get(processId)?.name ?? 'none'}`);
    lines.push(`  journal: ${evidence.journal.get(processId)?.record ?? 'no row'}`);
    for (const one of evidence.ledger.get(processId) ?? []) {
      lines.push(`  ledger: ${one.authority} ${one.serial}${one.revoked ? ' revoked' : ''}`);
    }
    const story = evidence.logLines.filter((line) => line.processId === processId);
    for (const { instance, text } of story.slice(-longestStory)) {
      lines.push(`  ${instance}: ${text}`);
    }
    for (const { instance, trail } of evidence.lived) {
      for (const { at, word, what: id } of trail) {
        if (id !== processId) continue;
        lines.push(`  ${instance}: ${new Date(at).toISOString()} ${word}`);
      }
    }
  }
  const more = breaches.length - mostStories;
  if (more > 0) lines.push(`… and ${more} more; the JSON has them all.`);
  return lines.join('\n');
}
