/**
 * A shorter input of which the same can be said: pieces are cut out, halves first, as long as that holds.
 *
 * @param mostTries how often it may be asked; what is shortest by then is answered.
 */
export async function minimise(
  input: Uint8Array,
  holds: (candidate: Uint8Array) => Promise<boolean>,
  mostTries = 600,
): Promise<Uint8Array> {
  let shortest = input;
  let tries = 0;
  for (let piece = Math.ceil(shortest.length / 2); piece >= 1; piece = Math.floor(piece / 2)) {
    for (let at = 0; at < shortest.length && tries < mostTries; ) {
      const candidate = new Uint8Array(
        Buffer.concat([shortest.subarray(0, at), shortest.subarray(at + piece)]),
      );
      tries += 1;
      if (await holds(candidate)) shortest = candidate;
      else at += piece;
    }
  }
  return shortest;
}
