/** Gives events to the page's own Meta pixel, which may come later than we. */

import { pixelData, type Data } from "./events";
import { quiet } from "./quiet";

const PAUSE_MS = 500;
const LOOKS = 60;

type Fbq = (...words: unknown[]) => void;

/** Hands over an event under Meta's name with its id, now or when the pixel is there. */
export type Pairing = (name: string | undefined, fields: Data, id: string) => void;

/** `granted`: whether the visitor allows ads, asked at the moment of handing over. */
export function openPairing(granted: () => boolean): Pairing {
  const waiting: unknown[][] = [];
  let looks = 0;
  const look = quiet(() => {
    const { fbq } = window as { fbq?: Fbq };
    while (fbq && waiting[0]) {
      const words = waiting.shift() as unknown[];
      if (granted()) fbq("track", ...words);
    }
    if (waiting[0] && looks--) setTimeout(look, PAUSE_MS);
  });
  return (name, fields, id) => {
    waiting.push([name, pixelData(fields), { eventID: id }]);
    looks = LOOKS;
    if (!waiting[1]) look();
  };
}
