/**
 * What the visitor has said. Three states: granted, denied, nothing yet; only the last asks the funnel.
 *
 * Storage is asked each time, because the answer may have been given in another tab, or while this page lay in the
 * back/forward cache. It holds anything of the visitor only where it may: after a yes, or before an answer if the
 * funnel allows cookies then. The answer itself is kept either way, or a no would be forgotten on the next page.
 */

import { byDefault, early } from "./config";
import { box } from "./store";

export const ANSWER = "sinal_consent";
let said: boolean | null = null; // where there is no storage

/** The answer, or `other` before there is one. */
const or = (other: unknown): unknown => {
  const kept = box.read(ANSWER);
  return kept === !!kept ? kept : said === null ? other : said;
};
/** true, false, or null before an answer. */
export const answer = (): unknown => or(null);
export const denied = (): boolean => !or(true);
export const granted = (): unknown => or(byDefault);
/** Whether ids may be stored and read. */
export const mayStore = (): unknown => or(early);
export const say = (yes: boolean): void => box.write(ANSWER, (said = yes));
