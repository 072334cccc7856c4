/** Gives events to the page's own Meta pixel, which may come later than we. */

import type { Data } from "./events";
import { json } from "./json";
import { quiet } from "./quiet";

const PAUSE_MS = 500;
const LOOKS = 60;

/** Custom data of the browser pixel for the same event, without what is undefined: the pixel complains of it. */
const pixelData = ({ value, currency, items }: Data): object =>
  JSON.parse(json({ value, currency, content_ids: items && items.map(({ id }: any) => "" + id), content_type: items && "product" }));

/** Hands over an event under Meta's name with its id, now or when the pixel is there, if `granted` holds then. */
export function pair(granted: () => unknown, name: string | undefined, event: Data): void {
  let looks = LOOKS;
  const give = quiet(() => {
    const { fbq } = window as { fbq?: (...words: unknown[]) => void };
    if (!fbq) looks-- && setTimeout(give, PAUSE_MS);
    else if (granted()) fbq("track", name, pixelData(event), { eventID: event.event_id });
  });
  give();
}
