/** Something that must not happen, and did. */
export interface Breach {
  readonly kind:
    | 'lost'
    | 'wrong-end'
    | 'signed-twice'
    | 'surplus'
    | 'stranger'
    | 'bug'
    | 'deserted'
    | 'takeover'
    | 'points';
  readonly processId?: string;
  readonly what: string;
}
