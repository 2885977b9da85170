/** A mount, role or other reference as a part of a path: every segment encoded. */
export function pathOf(reference: string): string {
  return reference
    .split('/')
    .filter((segment) => segment !== '')
    .map(encodeURIComponent)
    .join('/');
}
