// The workflow as one curve: stations on it, changes moving along it, feedback closing it. On a phone a vertical line.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ChangeRow, LoopHome, Station, StationId } from '../api/types';
import { number, short } from '../lib/format';
import { A, StateWord, When } from './basic';
import { DOT, parameter, path, pointAt, type Room } from './curve';
import { Icon, type IconName } from './icon';

const ICONS: Record<StationId, IconName> = {
  provision: 'provision', pipeline: 'pipeline', release: 'release', deploy: 'deploy', observe: 'observe', secure: 'secure', optimize: 'optimize',
};
const HEIGHT = 512;
const MOVE_MS = 150;

function Plate({ station, lensed }: { station: Station; lensed: boolean }) {
  const n = station.number;
  return (
    <li class={`station st-${station.id}${station.available ? '' : ' is-later'}${lensed ? ' is-lensed' : ''}`}>
      <A href={station.href} class="plate">
        <span class="plate-head"><Icon name={ICONS[station.id]} /><strong>{station.title}</strong>
          {station.available ? <StateWord state={station.state} word={station.word} /> : <span class="later">later</span>}
        </span>
        {station.available && n && <span class="plate-number"><b>{number(n.value)}{n.unit && <small> {n.unit}</small>}</b> <span>{n.label}</span></span>}
        <span class="plate-sentence" title={station.sentence}>{station.sentence}</span>
        {station.available && <span class="plate-at">{station.lastActivity ? <When at={station.lastActivity} /> : 'nothing yet'}</span>}
      </A>
    </li>
  );
}

/** A change on the line. When its station changes it travels there along the curve, and only then. */
function Dot({ change, room, nth }: { change: ChangeRow; room: Room; nth: number }) {
  const goal = DOT[change.station] - nth * 0.022;
  const [at, setAt] = useState(goal);
  const from = useRef(goal);
  useEffect(() => {
    const start = from.current;
    if (start === goal) return;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) { from.current = goal; setAt(goal); return; }
    const way = goal > start ? goal - start : goal + 1 - start;
    const began = performance.now();
    let frame = requestAnimationFrame(function step(time) {
      const part = Math.min(1, (time - began) / MOVE_MS);
      setAt((start + way * part) % 1);
      if (part < 1) frame = requestAnimationFrame(step);
      else from.current = goal;
    });
    return () => { cancelAnimationFrame(frame); from.current = goal; };
  }, [goal]);
  const { x, y } = pointAt(parameter(at), room);
  return (
    <li class={`dot is-${change.state}`} style={{ left: `${x}px`, top: `${y}px` }}>
      <A href={`/changes/${change.sha}`} title={`${change.subject}: ${change.sentence}`} aria-label={`${short(change.sha)} ${change.subject}: ${change.sentence}`}>
        <i /><span class="mono">{short(change.sha)}</span>
      </A>
    </li>
  );
}

function Lines({ room }: { room: Room }) {
  const bottom = HEIGHT - 60;
  const right = pointAt(parameter(0.62), room);
  const left = pointAt(parameter(0.38), room);
  const head = (progress: number) => {
    const a = pointAt(parameter(progress - 0.004), room);
    const b = pointAt(parameter(progress), room);
    const turn = (Math.atan2(b.y - a.y, b.x - a.x) * 180) / Math.PI;
    return <path key={progress} class="line-head" d="M-5-4.500 4 0-5 4.500" transform={`translate(${b.x.toFixed(1)} ${b.y.toFixed(1)}) rotate(${turn.toFixed(1)})`} />;
  };
  const inner = 0.76;
  const obs = pointAt(parameter(0.84), room);
  const pip = pointAt(parameter(0.34), room);
  void right; void left; void inner;
  const mid = room.width / 2;
  const low = HEIGHT - BELOW;
  return (
    <svg class="loop-lines" width={room.width} height={room.height} viewBox={`0 0 ${room.width} ${room.height}`} aria-hidden="true">
      <path class="line-secure" d={`${path(room, 0, 1)}Z`} />
      <path class="line-way" d={path(room, 0.045, 0.93)} />
      <path class="line-back" d={path(room, 0.93, 1.045)} />
      {[0.155, 0.405, 0.595, 0.7, 0.905].map(head)}
      <path class="line-back" d={`M${obs.x - 108} ${obs.y + 26} Q${mid} ${low + 34} ${pip.x + 116} ${pip.y + 30}`} />
      <path class="line-head" d="M-5-4.500 4 0-5 4.500" transform={`translate(${pip.x + 116} ${pip.y + 30}) rotate(196)`} />
      <path class="line-hang" d={`M${obs.x} ${obs.y + 30}V${bottom - 22}`} />
    </svg>
  );
}
const BELOW = 150;

export function Loop({ home, lensed }: { home: LoopHome; lensed: (id: StationId) => boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!box.current) return;
    const watch = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const room = { width, height: HEIGHT };
  const wide = width >= 860;
  const back = home.arrows.filter((a) => a.sentence && ['observe', 'deploy'].includes(a.from) && ['pipeline', 'provision', 'optimize'].includes(a.to));
  const seen = new Map<string, number>();
  return (
    <div class={wide ? 'loop is-wide' : 'loop'} ref={box}>
      {wide && <Lines room={room} />}
      <ol class="stations" aria-label="Stations of the loop">
        {home.stations.map((s) => <Plate key={s.id} station={s} lensed={lensed(s.id)} />)}
      </ol>
      {wide && (
        <ul class="dots" aria-label="Changes in flight">
          {home.inFlight.slice(0, 12).map((c) => {
            const nth = seen.get(c.station) ?? 0;
            seen.set(c.station, nth + 1);
            return <Dot key={c.sha} change={c} room={room} nth={nth} />;
          })}
        </ul>
      )}
      {back.length > 0 && (
        <ul class="back" aria-label="Feedback">
          {back.map((a) => <li key={a.from + a.to}><span class="over">{a.from} → {a.to}</span><span>{a.sentence}</span></li>)}
        </ul>
      )}
    </div>
  );
}
