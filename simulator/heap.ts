/** A binary heap: the item that comes before all others is at hand, however many there are. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #isBefore: (one: Item, other: Item) => boolean;

  constructor(isBefore: (one: Item, other: Item) => boolean) {
    this.#isBefore = isBefore;
  }

  get first(): Item | undefined {
    return this.#items[0];
  }

  add(item: Item): void {
    this.#items.push(item);
    for (let at = this.#items.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#comesBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  removeFirst(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const child = this.#comesBefore(left + 1, left) ? left + 1 : left;
      if (!this.#comesBefore(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  clear(): void {
    this.#items.length = 0;
  }

  #comesBefore(one: number, other: number): boolean {
    const a = this.#items[one];
    const b = this.#items[other];
    return a !== undefined && b !== undefined && this.#isBefore(a, b);
  }

  #swap(one: number, other: number): void {
    const a = this.#items[one];
    const b = this.#items[other];
    if (a === undefined || b === undefined) return;
    this.#items[one] = b;
    this.#items[other] = a;
  }
}
