/** Where a process waits: one of the four rooms that it goes through. Metrics call it the stage. */
export type Room = 'claim' | 'possession' | 'issue' | 'deliver';

/** How a process ended for us. Metrics and logs have these names. */
export type Outcome = 'delivered' | 'refused' | 'yielded' | 'gone';
