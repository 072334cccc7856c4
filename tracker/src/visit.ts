/**
 * Who visits: a session (30 minutes idle) and, once an ad or campaign brought the visitor, a click id that lives on.
 *
 * A click id stands for one arrival: another fbclid or other UTMs make another one, the same link opened again does
 * not. The text form is one cookie, shared over subdomains, and travels to the funnel's other domains in links.
 */

import { fingerprint } from "./ids";
import { DAYS, fbclidIn } from "./meta";
import { params, valuesOf } from "./query";
import { impersonal } from "./store";

export const UTMS = "source medium campaign content term".split(" ");
export type Utm = Record<string, string>; // by the names above

export const LINKER = "_sl";
const IDLE_MS = 30 * 60_000;
const LINK_MS = 2 * 60_000; // a shared or bookmarked link must not hand over its sender's ids
const MAX_UTM = 500;
const FORM = /^\w{22}\.\d+\.(\w{22})?\.\d+\.\w*\.\w*$/;

/**
 * Session, Unix ms of the last activity, click id (empty before any arrival), Unix ms of that, fingerprint of the arrival's
 * fbclid, fingerprint of its UTMs.
 */
export type Visit = [session: string, seen: number, click: string, made: number, ad?: string, campaign?: string]; // times out of a text are digits

export interface Arrival {
  visit: Visit;
  fbclid: string | undefined;
  utm: Utm;
  newAd: unknown; // the URL carries an fbclid that this visitor had not brought before
  newTouch: unknown; // the URL carries UTMs or an fbclid of another arrival than the last
}

/** The campaign of an address; words are cut between characters. */
export function utmOf(url: string): Utm {
  const utm: Utm = {};
  UTMS.forEach((name) => {
    const [value] = valuesOf(url, "utm_" + name);
    if (value) utm[name] = impersonal(value.slice(0, MAX_UTM));
  });
  return utm;
}

/** The visit after opening this URL (now in Unix ms). */
export function arrive(saved: Visit | null, url: string, now: number, newId: () => string): Arrival {
  const fbclid = fbclidIn(url);
  const utm = utmOf(url);
  const ad = fingerprint(fbclid || "");
  const campaign = fingerprint(UTMS.map((name) => utm[name]).join(""));
  const isOld = saved && saved[2] && now - saved[3] < DAYS * 86_400_000;
  const [, , click, made, oldAd, oldCampaign] = isOld ? saved : [, , "", 0];
  const newAd = ad && oldAd !== ad;
  const newTouch = newAd || (campaign && oldCampaign !== campaign);
  const session = saved && Math.abs(now - saved[1]) < IDLE_MS ? saved[0] : newId();
  return { visit: newTouch ? [session, now, newId(), now, ad, campaign] : [session, now, click, made, oldAd, oldCampaign], fbclid, utm, newAd, newTouch };
}

export const visitText = (visit: Visit): string => visit.join(".");

/** The visit of a cookie or link; null for anything malformed. */
export function readVisit(text: any): Visit | null {
  return FORM.test(text) ? text.split(".") : null;
}

/** The visit that a link from another of the funnel's domains hands over, while it is fresh (now in Unix ms). */
export function linkedVisit(url: string, now: number): Visit | null {
  const visit = readVisit(params(url).get(LINKER));
  return visit && Math.abs(now - visit[1]) < LINK_MS ? visit : null;
}
