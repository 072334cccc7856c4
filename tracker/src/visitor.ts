/**
 * The visitor of this page: what is known of the visit, where it is kept, and what of it an event or a link may carry.
 *
 * Storage is the truth while it may be used, because another tab may have brought a newer click; else this page's
 * memory. After a no there is nothing: no id in an event, none in a link, none on the machine.
 */

import type { Cargo } from "./checkout";
import type { Consent } from "./consent";
import type { Jar } from "./cookies";
import { DAYS, fbclidOf, isFbp, newMetaId } from "./meta";
import type { Box } from "./store";
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

export interface Visitor {
  /** Takes note of an address; says whether an ad has brought the visitor anew. */
  arrive(url: string): boolean;
  /** What an event tells of the visitor; nothing after a no. An event keeps the session alive. */
  ids(): Ids;
  touches(): Touches;
  /** What a link may carry, read once for all links of a pass; undefined after a no. It keeps no session alive. */
  cargo(): Cargo | undefined;
  /** The visit as a link hands it over. */
  handOver(): string;
  /** Deletes all of it. */
  forget(): void;
}

export function openVisitor(jar: Jar, box: Box, consent: Consent, newId: () => string): Visitor {
  const { denied, mayStore } = consent;
  let memory: Visit | null = null;
  let touched: Touches = {};
  let fbclid: string | undefined;
  let cargo: Cargo | null = null;

  const known = (): Visit | null => {
    let best = memory;
    if (mayStore()) {
      [jar.look(COOKIE), box.read(VISIT)].map(readVisit).forEach((visit) => {
        if (visit && !(best && best[1] >= visit[1])) best = visit;
      });
    }
    return best;
  };
  const touches = (): Touches => (mayStore() && box.read(TOUCH)) || touched;
  const cookies = (): Ids => {
    const [fbc, fbp] = ["_fbc", "_fbp"].map((name) => (mayStore() ? jar.look(name) : undefined));
    return { fbc: fbclidOf(fbc) && fbc, fbp: isFbp(fbp) ? fbp : undefined };
  };
  const save = (visit: Visit) => {
    memory = visit;
    cargo = null;
    if (!mayStore()) return;
    jar.bake(COOKIE, visitText(visit), DAYS);
    box.write(VISIT, visitText(visit));
  };
  /** The visit as of now: activity keeps its session alive, half an hour of silence ends it. */
  const current = (): Visit => {
    const now = Date.now();
    const old = known();
    if (old && Math.abs(now - old[1]) < PRECISION_MS) return old;
    const { visit } = arrive(old, "", now, newId);
    save(visit);
    return visit;
  };

  return {
    arrive: (url) => {
      if (denied()) return false;
      const now = Date.now();
      const linked = linkedVisit(url, now);
      const before = known();
      const arrival = arrive((linked && linked[2]) || !before ? linked : before, url, now, newId);
      fbclid = arrival.fbclid || fbclid;
      touched = touches();
      if (arrival.newTouch) touched = { first: touched.first || arrival.utm, last: arrival.utm };
      save(arrival.visit);
      if (mayStore()) {
        box.write(TOUCH, touched);
        const stamp = (name: string, value: unknown) => jar.bake(name, newMetaId(jar.site().depth, now, value), DAYS);
        const { fbc, fbp } = cookies();
        if (fbclid && fbclidOf(fbc) !== fbclid) stamp("_fbc", fbclid);
        if (!fbp) stamp("_fbp", Math.floor(Math.random() * 2147483648));
      }
      return arrival.newAd;
    },
    ids: () => {
      if (denied()) return {};
      const [session, , click] = current();
      return { click_id: click, session_id: session, fbclid, ...cookies() };
    },
    touches,
    cargo: () => {
      if (denied()) return;
      if (!cargo) {
        const [session, , click] = known() || current();
        cargo = { id: click || session, fbclid: fbclid || fbclidOf(cookies().fbc), utm: touches().last || {} };
        Promise.resolve().then(() => (cargo = null));
      }
      return cargo;
    },
    handOver: () => {
      const visit = [...current()] as Visit;
      visit[1] = Date.now();
      return visitText(visit);
    },
    forget: () => {
      memory = null;
      cargo = null;
      touched = {};
      fbclid = undefined;
      [COOKIE, "_fbc", "_fbp"].forEach(jar.drop);
      [VISIT, TOUCH].forEach((name) => box.write(name));
    },
  };
}
