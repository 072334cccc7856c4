/** A tracker's fault must not become its page's: what we hang into the page returns undefined instead of throwing. */

export function quiet<A extends unknown[], R>(act: (...args: A) => R): (...args: A) => R | undefined {
  return (...args) => {
    try {
      return act(...args);
    } catch {
      return undefined;
    }
  };
}

/** Listens on the window, before the page's own handlers, to events named with spaces between. */
export function listen(names: string, act: (event: Event) => void): void {
  names.split(" ").forEach((name) => addEventListener(name, quiet(act), true));
}

/** The innermost element of an event that passes, through shadow roots too. */
export function hit<E extends HTMLElement>(event: Event, selector: string): E | undefined {
  return event.composedPath().find((node) => node instanceof Element && node.matches(selector)) as E | undefined;
}
