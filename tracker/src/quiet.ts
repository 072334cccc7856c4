/** A tracker's fault must not become its page's: what we hang into the page returns undefined instead of throwing. */

export const quiet =
  <A extends unknown[], R>(act: (...args: A) => R): ((...args: A) => R | undefined) =>
  (...args) => {
    try {
      return act(...args);
    } catch {}
  };

/** Tells the page's author. */
export const warn = (what: string): void => {
  console.warn("sinal: " + what);
};

/** Listens on the window, before the page's own handlers, to events named with spaces between. */
export const listen = (names: string, act: (event: any) => void): void =>
  names.split(" ").forEach((name) => addEventListener(name, quiet(act), true));

/** The innermost element of an event that passes, through shadow roots too. */
export const hit = (event: Event, selector: string): HTMLElement | undefined =>
  event.composedPath().find((node) => (node as Element).matches && (node as Element).matches(selector)) as HTMLElement | undefined;
