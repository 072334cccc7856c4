/**
 * Who visits: a session (30 minutes idle) and, once an ad or campaign brought the visitor, a click id that lives on.
 *
 * A click id stands for one arrival: another fbclid or other UTMs make another one, the same link opened again does
 * not. The text form is one cookie, shared over subdomains, and travels to the funnel's other domains in links.
 */

import { fingerprint } from "./ids";
import { cleanFbclid, DAYS } from "./meta";
import { params } from "./query";

const UTMS = "source medium campaign content term".split(" ");
export type Utm = Record<string, string>; // by the names above

export const LINKER = "_sl";
const IDLE_MS = 30 * 60_000;
const LINK_MS = 2 * 60_000; // a shared or bookmarked link must not hand over its sender's ids
const MAX_UTM = 500;
const FORM = /^[^\W_]{22}\.\d+\.([^\W_]{22})?\.\d+\.\w*\.\w*$/;

export interface Visit {
  session: string;
  seen: number; // Unix ms of the last activity
  click: string; // empty before any arrival
  made: number; // Unix ms of the click id
  ad: string; // fingerprint of the arrival's fbclid
  campaign: string; // fingerprint of its UTMs
}

const NOBODY: Visit = { session: "", seen: 0, click: "", made: 0, ad: "", campaign: "" };

export interface Arrival {
  visit: Visit;
  fbclid: string | undefined;
  utm: Utm;
  newAd: boolean; // the URL carries an fbclid that this visitor had not brought before
  newTouch: boolean; // the URL carries UTMs or an fbclid of another arrival than the last
}

export function utmOf(url: string): Utm {
  const found = params(url);
  const utm: Utm = {};
  for (const name of UTMS) {
    const value = (found.get("utm_" + name) || "").slice(0, MAX_UTM);
    if (value) utm[name] = value;
  }
  return utm;
}

/** The visit after opening this URL (now in Unix ms). */
export function arrive(saved: Visit | null, url: string, now: number, newId: () => string): Arrival {
  const fbclid = cleanFbclid(params(url).get("fbclid"));
  const utm = utmOf(url);
  const ad = fbclid ? fingerprint(fbclid) : "";
  const tags = JSON.stringify(utm);
  const campaign = tags === "{}" ? "" : fingerprint(tags);
  const old = saved?.click && now - saved.made < DAYS * 86_400_000 ? saved : NOBODY;
  const newAd = !!ad && old.ad !== ad;
  const newTouch = newAd || (!!campaign && old.campaign !== campaign);
  const session = saved && Math.abs(now - saved.seen) < IDLE_MS ? saved.session : newId();
  const visit = newTouch ? { click: newId(), made: now, ad, campaign } : old;
  return { visit: { ...visit, session, seen: now }, fbclid, utm, newAd, newTouch };
}

export function visitText({ session, seen, click, made, ad, campaign }: Visit): string {
  return [session, seen, click, made, ad, campaign].join(".");
}

/** The visit of a cookie or link; null for anything malformed. */
export function readVisit(text: string | null | undefined): Visit | null {
  if (!text || !FORM.test(text)) return null;
  const [session, seen, click, made, ad, campaign] = text.split(".") as [string, string, string, string, string, string];
  return { session, seen: +seen, click, made: +made, ad, campaign };
}

/** The visit that a link from another of the funnel's domains hands over, while it is fresh (now in Unix ms). */
export function linkedVisit(url: string, now: number): Visit | null {
  const visit = readVisit(params(url).get(LINKER));
  return visit && Math.abs(now - visit.seen) < LINK_MS ? visit : null;
}
