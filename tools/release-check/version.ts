import type { Finding } from './finding.ts';

export interface Named {
  /** Of package.json. */
  readonly version: string;
  /** Of package-lock.json. */
  readonly locked: string;
  /** CHANGELOG.md. */
  readonly changelog: string;
  /** Of the repository. */
  readonly tags: readonly string[];
  /** No release yet: what has changed stands under "Unreleased", and the version is that of the last one. */
  readonly isUnreleased: boolean;
}

/** Without build metadata, which a registry drops. */
const semver =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*))*)?$/;

/** Whether the release has a name of its own, and the changelog says what is in it. */
export function versionFindings(named: Named): Finding[] {
  const { version, locked, changelog, tags, isUnreleased } = named;
  const findings: Finding[] = [];
  if (!semver.test(version)) {
    findings.push({
      what: `package.json: ${JSON.stringify(version)} is no semantic version`,
      mend: 'write one like 1.4.0 or 2.0.0-rc.1: npm version --no-git-tag-version 1.4.0',
    });
  }
  if (locked !== version) {
    findings.push({
      what: `package-lock.json says ${locked}, package.json ${version}`,
      mend: 'npm install --package-lock-only writes it there too',
    });
  }
  const sections = sectionsOf(changelog);
  if (isUnreleased) {
    if (['Unreleased', version].includes(sections[0]?.title ?? '')) return findings;
    return [...findings, noSection(version, sections, `Unreleased or ${version}`)];
  }
  if (tags.includes(`v${version}`)) {
    findings.push({
      what: `the tag v${version} is there already`,
      mend: 'a released version never changes: choose the next one',
    });
  }
  const [first] = sections;
  if (first?.title !== version) {
    findings.push(noSection(version, sections, version));
  } else if (!first.hasText) {
    findings.push({
      what: `CHANGELOG.md: the section ${version} is empty`,
      mend: 'say what a user or a plug-in author notices, and what to do when updating',
    });
  }
  return findings;
}

function noSection(version: string, sections: readonly Section[], wanted: string): Finding {
  return {
    what: `CHANGELOG.md begins with ${sections[0]?.title ?? 'no section'}, expected ${wanted}`,
    mend: `rename "## Unreleased" to "## ${version} (YYYY-MM-DD)", or write a new first section`,
  };
}

interface Section {
  readonly title: string;
  /** More than headings. */
  readonly hasText: boolean;
}

/** `## 1.4.0 (2026-11-30)` has the title `1.4.0`. */
function sectionsOf(changelog: string): Section[] {
  return changelog
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      const title = heading.replace(/ \(\d{4}-\d\d-\d\d\)$/, '').trim();
      return { title, hasText: lines.some((line) => /^(?!#)\s*\S/.test(line)) };
    });
}
