/** The safeguards that can be taken away, to see that their lack is found. */
export const safeguards = [
  'fencing',
  'claim-intention',
  'order-intention',
  'save-before-upload',
  'acknowledge-after-write',
  'write-last',
  'doubt-pause',
  'clock-trust',
  'watched-time',
  'settled-due',
] as const;
export type Safeguard = (typeof safeguards)[number];
