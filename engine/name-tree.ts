/**
 * Names of events and patterns over them, by their tokens: finds the patterns that cover a name, or
 * the names that a pattern covers, without looking at the others. Pure.
 */

interface Node<T> {
  /** Present where a name or a pattern ends. */
  value?: T;
  next?: Map<string, Node<T>>;
}

/** A map whose keys are names, or patterns; not both in one tree. */
export class NameTree<T> {
  readonly #root: Node<T> = {};
  #size = 0;

  /** How many keys have a value. */
  get size(): number {
    return this.#size;
  }

  get(key: string): T | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const token of key.split(".")) {
      node = node.next?.get(token);
      if (node === undefined) return undefined;
    }
    return node.value;
  }

  set(key: string, value: T): void {
    let node = this.#root;
    for (const token of key.split(".")) {
      node.next ??= new Map();
      let inner = node.next.get(token);
      if (inner === undefined) {
        inner = {};
        node.next.set(token, inner);
      }
      node = inner;
    }
    if (node.value === undefined) this.#size++;
    node.value = value;
  }

  delete(key: string): void {
    const path: { readonly node: Node<T>; readonly token: string }[] = [];
    let node = this.#root;
    for (const token of key.split(".")) {
      const inner = node.next?.get(token);
      if (inner === undefined) return;
      path.push({ node, token });
      node = inner;
    }
    if (node.value === undefined) return;
    delete node.value;
    this.#size--;
    for (let i = path.length - 1; i >= 0; i--) {
      const { node: outer, token } = path[i] as (typeof path)[number];
      const inner = outer.next?.get(token);
      if (inner?.value !== undefined || (inner?.next && inner.next.size > 0)) return;
      outer.next?.delete(token);
    }
  }

  /** The values of the patterns that cover a name. */
  covering(name: string): T[] {
    const found: T[] = [];
    if (this.#size > 0) collectCovering(this.#root, name.split("."), 0, found);
    return found;
  }

  /** The values of the names that a pattern covers. */
  covered(pattern: string): T[] {
    const found: T[] = [];
    if (this.#size > 0) collectCovered(this.#root, pattern.split("."), 0, found);
    return found;
  }
}

function collectCovering<T>(node: Node<T>, tokens: string[], at: number, found: T[]): void {
  if (at === tokens.length) {
    if (node.value !== undefined) found.push(node.value);
    return;
  }
  if (node.next === undefined) return;
  const rest = node.next.get(">");
  if (rest?.value !== undefined) found.push(rest.value);
  const any = node.next.get("*");
  if (any) collectCovering(any, tokens, at + 1, found);
  const token = tokens[at] as string;
  // An event may be called "*.*.*": the way through the wildcard is not gone twice, or it doubles.
  const same = token === "*" || token === ">" ? undefined : node.next.get(token);
  if (same) collectCovering(same, tokens, at + 1, found);
}

function collectCovered<T>(node: Node<T>, tokens: string[], at: number, found: T[]): void {
  if (at === tokens.length) {
    if (node.value !== undefined) found.push(node.value);
    return;
  }
  const token = tokens[at] as string;
  if (token === ">") collectAll(node, found);
  else if (token !== "*") {
    const inner = node.next?.get(token);
    if (inner) collectCovered(inner, tokens, at + 1, found);
  } else if (node.next)
    for (const inner of node.next.values()) collectCovered(inner, tokens, at + 1, found);
}

/** Everything below a node, not the node itself: ">" stands for one token or more. */
function collectAll<T>(node: Node<T>, found: T[]): void {
  if (node.next === undefined) return;
  for (const inner of node.next.values()) {
    if (inner.value !== undefined) found.push(inner.value);
    collectAll(inner, found);
  }
}
