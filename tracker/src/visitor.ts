/**
 * The visitor of this page: what is known of the visit, where it is kept, and what of it an event or a link may carry.
 *
 * Storage is the truth while it may be used, because another tab may have brought a newer click; else this page's
 * memory. After a no there is nothing: no id in an event, none in a link, none on the machine.
 */

import type { Cargo } from "./checkout";
import { denied, mayStore } from "./consent";
import { bake, drop, look, site } from "./cookies";
import { shortId } from "./ids";
import { newMetaId, valueOf } from "./meta";
import { box } from "./store";
import { arrive, linkedVisit, readVisit, visitText, type Utm, type Visit } from "./visit";

const COOKIE = "_sinal";
const VISIT = "sinal_visit";
const TOUCH = "sinal_utm";
const PRECISION_MS = 10_000; // a session's end need not be known better, and every note of it is a write

export interface Touches {
  first?: Utm;
  last?: Utm;
}

export interface Ids {
  click_id?: string;
  session_id?: string;
  fbclid?: string;
  fbc?: string;
  fbp?: string;
}

let memory: Visit | null = null;
let touched: Touches = {};
let fbclid: string | undefined;
let cargo: Cargo | null = null;

const known = (): Visit | null => {
  let best = memory;
  if (mayStore()) {
    [look(COOKIE), box.read(VISIT)].map(readVisit).forEach((visit) => {
      if (visit && !(best && best[1] >= visit[1])) best = visit;
    });
  }
  return best;
};

export const touches = (): Touches => (mayStore() && box.read(TOUCH)) || touched;

const cookies = (): Ids => {
  if (!mayStore()) return {};
  const fbc = look("_fbc");
  const fbp = look("_fbp");
  return { fbc: valueOf(fbc) && fbc, fbp: valueOf(fbp) && fbp };
};

const save = (visit: Visit) => {
  memory = visit;
  cargo = null;
  if (!mayStore()) return;
  bake(COOKIE, visitText(visit));
  box.write(VISIT, visitText(visit));
};

/** The visit as of now: activity keeps its session alive, half an hour of silence ends it. */
const current = (): Visit => {
  const now = Date.now();
  const old = known();
  if (old && Math.abs(now - old[1]) < PRECISION_MS) return old;
  const { visit } = arrive(old, "", now, shortId);
  save(visit);
  return visit;
};

/** Takes note of an address; says whether an ad has brought the visitor anew. */
export function welcome(url: string): unknown {
  if (denied()) return;
  const now = Date.now();
  const linked = linkedVisit(url, now);
  const before = known();
  const arrival = arrive((linked && linked[2]) || !before ? linked : before, url, now, shortId);
  fbclid = arrival.fbclid || fbclid;
  touched = touches();
  if (arrival.newTouch) touched = { first: touched.first || arrival.utm, last: arrival.utm };
  save(arrival.visit);
  if (mayStore()) {
    box.write(TOUCH, touched);
    const stamp = (name: string, value: unknown) => bake(name, newMetaId(site(), now, value));
    const { fbc, fbp } = cookies();
    if (fbclid && valueOf(fbc) !== fbclid) stamp("_fbc", fbclid);
    if (!fbp) stamp("_fbp", ("" + Math.random()).slice(2, 11));
  }
  return arrival.newAd;
}

/** What an event tells of the visitor; nothing after a no. An event keeps the session alive. */
export function ids(): Ids {
  if (denied()) return {};
  const [session_id, , click_id] = current();
  return { click_id, session_id, fbclid, ...cookies() };
}

/** What a link may carry, read once for all links of a pass; undefined after a no. It keeps no session alive. */
export function cargoOfLinks(): Cargo | undefined {
  if (denied()) return;
  if (!cargo) {
    const [session, , click] = known() || current();
    cargo = { id: click || session, fbclid: fbclid || valueOf(cookies().fbc), utm: touches().last || {} };
    setTimeout(() => (cargo = null));
  }
  return cargo;
}

/** The visit as a link hands it over. */
export function handOver(): string {
  const [session, , ...rest] = current();
  return [session, Date.now(), ...rest].join(".");
}

/** Deletes all of it. */
export function forget(): void {
  memory = cargo = null;
  touched = {};
  fbclid = undefined;
  [COOKIE, "_fbc", "_fbp"].forEach(drop);
  [VISIT, TOUCH].forEach((name) => box.write(name));
}
