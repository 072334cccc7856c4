/**
 * What the visitor has said. Three states: granted, denied, nothing yet; only the last asks the funnel.
 *
 * Storage is asked each time, because the answer may have been given in another tab, or while this page lay in the
 * back/forward cache. It holds anything of the visitor only where it may: after a yes, or before an answer if the
 * funnel allows cookies then. The answer itself is kept either way, or a no would be forgotten on the next page.
 */

import type { Box } from "./store";

export const ANSWER = "sinal_consent";

export interface Consent {
  /** true, false, or null before an answer. */
  answer(): boolean | null;
  /** The answer, or `other` before there is one. */
  or(other: boolean): boolean;
  denied(): boolean;
  /** Whether ids may be stored and read. */
  mayStore(): boolean;
  say(yes: boolean): void;
}

export function openConsent(box: Box, early: boolean): Consent {
  let said: boolean | null = null;
  const answer = () => {
    const kept = box.read(ANSWER);
    return kept === !!kept ? kept : said;
  };
  const or = (other: boolean) => {
    const now = answer();
    return now === null ? other : now;
  };
  return {
    answer,
    or,
    denied: () => !or(true),
    mayStore: () => or(early),
    say: (yes) => box.write(ANSWER, (said = yes)),
  };
}
