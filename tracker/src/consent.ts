/**
 * What the visitor has said. Three states: granted, denied, nothing yet; only the last asks the funnel.
 *
 * Storage holds anything of the visitor only where it may: after a yes, or before an answer if the funnel allows
 * cookies then. The answer itself is kept either way, or a no would be forgotten on the next page.
 */

import type { Box } from "./store";

const KEY = "sinal_consent";

export interface Consent {
  /** true, false, or null before an answer. */
  answer(): boolean | null;
  denied(): boolean;
  /** Whether ids may be stored and read. */
  mayStore(): boolean;
  /** Whether ads are allowed, with the funnel's default where there is no answer. */
  granted(): boolean;
  /** Takes an answer; returns whether what it means has changed. */
  say(yes: boolean): boolean;
}

export function openConsent(box: Box, byDefault: boolean, early: boolean): Consent {
  let answer = box.read<boolean>(KEY);
  const granted = () => answer ?? byDefault;
  return {
    answer: () => answer,
    denied: () => answer === false,
    mayStore: () => answer ?? early,
    granted,
    say: (yes) => {
      const before = granted();
      answer = yes;
      box.write(KEY, yes);
      return before !== yes;
    },
  };
}
