/**
 * The visitor of this page: what is known of the visit, where it is kept, and what of it an event or a link may carry.
 *
 * Storage is the truth while it may be used, because another tab may have brought a newer click; else this page's
 * memory. After a no there is nothing: no id in an event, none in a link, none on the machine.
 */

import type { Cargo } from "./checkout";
import type { Consent } from "./consent";
import type { Jar } from "./cookies";
import { DAYS, fbclidOf, nextFbc, nextFbp } from "./meta";
import type { Box } from "./store";
import { arrive, linkedVisit, readVisit, utmOf, visitText, type Arrival, type Utm, type Visit } from "./visit";

const COOKIE = "_sinal";
const VISIT = "sinal_visit";
const TOUCH = "sinal_utm";

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
  /** Takes note of an address; says what is new about it. */
  arrive(url: string): Arrival;
  /** What an event tells of the visitor; nothing after a no. */
  ids(): Ids;
  touches(): Touches;
  /** What a link may carry. */
  cargo(): Cargo;
  /** The visit as a link hands it over. */
  handOver(): string;
  /** Keeps from now on what memory holds: consent was given. */
  keep(): void;
  /** Deletes all of it. */
  forget(): void;
}

export function openVisitor(jar: Jar, box: Box, consent: Consent, newId: () => string): Visitor {
  const { denied, mayStore } = consent;
  const ours = new Set<string>();
  let memory: Visit | null = null;
  let touched: Touches = {};
  let fbclid: string | undefined;

  const known = (): Visit | null => {
    const kept = mayStore() ? [readVisit(jar.look(COOKIE)), readVisit(box.read(VISIT))] : [];
    return [memory, ...kept].reduce((best, visit) => ((visit?.seen ?? 0) > (best?.seen ?? 0) ? visit : best), null);
  };
  const touches = () => (mayStore() && box.read<Touches>(TOUCH)) || touched;
  const cookies = (): Ids => (mayStore() ? { fbc: jar.look("_fbc"), fbp: jar.look("_fbp") } : {});
  const save = (visit: Visit) => {
    memory = visit;
    ours.add(visit.click || visit.session).add(visit.session);
    if (!mayStore()) return;
    jar.bake(COOKIE, visitText(visit), DAYS);
    box.write(VISIT, visitText(visit));
  };
  const saveRest = () => {
    if (!mayStore()) return;
    box.write(TOUCH, touched);
    const stamp = (name: string, next: typeof nextFbc) => {
      const old = jar.look(name);
      const now = next(old, fbclid, jar.site().depth, Date.now());
      if (now && now !== old) jar.bake(name, now, DAYS);
    };
    stamp("_fbc", nextFbc);
    stamp("_fbp", nextFbp);
  };
  /** The visit as of now: activity keeps its session alive, half an hour of silence ends it. */
  const current = (): Visit => {
    const { visit } = arrive(known(), "", Date.now(), newId);
    save(visit);
    return visit;
  };

  return {
    arrive: (url) => {
      const linked = linkedVisit(url, Date.now());
      const before = known();
      const arrival = arrive(linked?.click || !before ? linked : before, url, Date.now(), newId);
      if (denied()) return { ...arrival, newAd: false };
      fbclid = arrival.fbclid || fbclid;
      touched = touches();
      if (arrival.newTouch) touched = { first: touched.first || arrival.utm, last: arrival.utm };
      save(arrival.visit);
      saveRest();
      return arrival;
    },
    ids: () => {
      if (denied()) return {};
      const { click, session } = current();
      return { click_id: click, session_id: session, fbclid, ...cookies() };
    },
    touches,
    cargo: () => {
      if (denied()) return { id: "", ours, fbclid, utm: utmOf(location.href) };
      const { click, session } = current();
      return { id: click || session, ours, fbclid: fbclid || fbclidOf(cookies().fbc), utm: touches().last || {} };
    },
    handOver: () => visitText(current()),
    keep: () => {
      current();
      saveRest();
    },
    forget: () => {
      memory = null;
      touched = {};
      fbclid = undefined;
      [COOKIE, "_fbc", "_fbp"].forEach(jar.drop);
      [VISIT, TOUCH].forEach((name) => box.write(name, undefined));
    },
  };
}
