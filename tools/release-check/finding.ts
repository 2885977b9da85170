/** What stands in the way of a release, and how to mend it. */
export interface Finding {
  readonly what: string;
  readonly mend: string;
}
