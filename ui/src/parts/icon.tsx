// Our own icons, 16 by 16, drawn with one stroke width so that they read as one hand.
const PATHS = {
  loop: 'M8 8C6.4 5.8 5.4 4.8 4 4.8a3.2 3.2 0 0 0 0 6.4c1.4 0 2.400-1 4-3.200S10.600 4.800 12 4.800a3.200 3.200 0 0 1 0 6.400c-1.400 0-2.400-1-4-3.200z',
  provision: 'M2 5.500 8 2.500l6 3-6 3zM2 8.500l6 3 6-3M2 11.500l6 3 6-3',
  pipeline: 'M4 3.500a1.500 1.500 0 1 0 0 .01M4 5v6M4 12.500a1.500 1.500 0 1 0 0 .01M12 6a1.500 1.500 0 1 0 0 .01M12 7.500C12 10 8 9 4.800 11.200',
  release: 'M8 2v9M4.500 5.500 8 2l3.500 3.500M3 13.500h10',
  deploy: 'M2 4h4l4 8h4M14 4h-4l-1 2M2 12h4l1-2M12 2l2 2-2 2M12 10l2 2-2 2',
  observe: 'M1.500 8H4.500l2-5 3 10 2-5h3',
  secure: 'M8 1.800 13 3.600v4.200c0 3-2 5.200-5 6.400-3-1.200-5-3.400-5-6.400V3.600z',
  optimize: 'M2.500 12a6 6 0 1 1 11 0M8 10l3-4M5 13.500h6',
  incident: 'M8 2 14.500 13.500h-13zM8 6.500v3.500M8 11.800v.1',
  report: 'M3.500 1.800h6l3 3v9.400h-9zM6 11.500V9M8 11.500V6.500M10 11.500v-1.500',
  ledger: 'M3 2.500h10M3 6.200h10M3 9.800h10M3 13.500h10M5.500 2.500v3.700M10.500 6.200v3.600M6.500 9.800v3.700',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.700 10.700 14 14',
  menu: 'M2.500 4h11M2.500 8h11M2.500 12h11',
  close: 'M3.500 3.500l9 9M12.500 3.500l-9 9',
  ok: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.300 8.200l1.900 1.900 3.500-4',
  running: 'M8 2a6 6 0 1 1-6 6M8 6.200a1.800 1.800 0 1 0 0 3.600 1.800 1.800 0 0 0 0-3.600z',
  waiting: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.500 5.800v4.400M9.500 5.800v4.400',
  bad: 'M5.500 2h5L14 5.500v5L10.500 14h-5L2 10.500v-5zM6 6l4 4M10 6l-4 4',
  unknown: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.300 6.300C6.500 5.200 7.200 4.800 8 4.800c1 0 1.800.6 1.800 1.600 0 1.300-1.800 1.300-1.800 2.600M8 11v.1',
  arrow: 'M3 8h10M9.500 4.500 13 8l-3.500 3.500',
  down: 'M4 6.500l4 4 4-4',
  external: 'M6 3H3v10h10v-3M9 2.500h4.500V7M13 3 7.500 8.500',
  theme: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12M8 5h3.800M8 8h6M8 11h3.800',
  link: 'M6.500 9.500l3-3M7 4.500l1.500-1.500a3 3 0 0 1 4.500 4.500L11.500 9M9 11.500 7.500 13A3 3 0 0 1 3 8.500L4.500 7',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class={`icon icon-${name}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
