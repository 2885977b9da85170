/** Shorter secrets would blot out half of every message and protect nothing. */
const shortestSecret = 4;

/** What does not show, or only as a space. */
const gap = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]/u;

/** A text with its secrets taken out: in every form that servers repeat them in, also broken into pieces by spaces. */
export function withoutSecrets(text: string, secrets: Iterable<string>): string {
  const forms = [...secrets].filter((secret) => secret.length >= shortestSecret).flatMap(formsOf);
  if (forms.length === 0) return text;
  let left = text;
  let letters = lettersOf(left);
  // The longest first: one may be a part of another.
  for (const form of forms.toSorted((a, b) => b.length - a.length)) {
    const blotted = blot(left, letters, lettersOf(form).folded);
    if (blotted === left) continue;
    left = blotted;
    letters = lettersOf(left);
  }
  return left;
}

/** As it is, in JSON, in HTML or XML, in a URL, in a form, and in base64. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    secret.replace(/[&<>"']/g, (character) => entities[character] ?? character),
    encodeURIComponent(secret.toWellFormed()),
    new URLSearchParams({ '': secret }).toString().slice(1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
  ];
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

interface Letters {
  /** Without gaps, in small letters. */
  readonly folded: string;
  /** Where each of them stands in the text. */
  readonly at: readonly number[];
}

function lettersOf(text: string): Letters {
  const at: number[] = [];
  let folded = '';
  for (let index = 0; index < text.length; index++) {
    const unit = text.charAt(index);
    if (gap.test(unit)) continue;
    const small = unit.toLowerCase();
    folded += small.length === 1 ? small : unit;
    at.push(index);
  }
  return { folded, at };
}

function blot(text: string, { folded, at }: Letters, sought: string): string {
  if (sought.length < shortestSecret) return text;
  let blotted = '';
  let from = 0;
  for (let found = folded.indexOf(sought); found >= 0; ) {
    const end = found + sought.length;
    blotted += `${text.slice(from, at[found])}[secret]`;
    from = (at[end - 1] ?? text.length) + 1;
    found = folded.indexOf(sought, end);
  }
  return blotted + text.slice(from);
}
