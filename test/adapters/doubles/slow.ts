/** How long a double that is told to be slow takes to answer: noticeable, and no more. */
export const slowMs = 300;
