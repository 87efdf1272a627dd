// The workflow as one curve: stations on it, changes moving along it, feedback closing it. On a phone a vertical line.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ChangeRow, LoopHome, Station, StationId } from '../api/types';
import { inUnit, short } from '../lib/format';
import { useWidth } from '../lib/width';
import { A, EventRef, StateWord, When } from './basic';
import { BELOW, HEIGHT, STATION, headingAt, path, placeOf, pointAt } from './curve';
import { Icon } from './icon';

/** Below this width the line stands upright. */
const WIDE = 860;
const MOVE_MS = 150;
const MAX_DOTS = 12;
const RING = 17;

/** Above the upper stations their text is below; below the lower ones it is above; what hangs down has it below. */
function textPlace(id: StationId, width: number): Record<string, number> {
  const { x, y } = ringPlace(id, width);
  // The room above the crossing grows with the width of the lobes.
  if (id === 'release') return { left: x, bottom: HEIGHT - y + RING + 44, width: Math.max(148, Math.min(212, width * 0.17)) };
  if (id === 'pipeline' || id === 'observe') return { left: x, bottom: HEIGHT - y + RING + 6 };
  return { left: x, top: y + RING + 6 };
}
function ringPlace(id: StationId, width: number) {
  if (id === 'secure') return { x: pointAt(STATION.pipeline, width).x, y: BELOW };
  const point = pointAt(STATION[id], width);
  return id === 'optimize' ? { x: point.x, y: BELOW } : point;
}
const px = (place: Record<string, number>) => Object.fromEntries(Object.entries(place).map(([k, v]) => [k, `${v}px`]));

function StationView({ station: s, lensed, place, children }: { station: Station; lensed: boolean; place?: Record<string, string>; children?: preact.ComponentChildren }) {
  const n = s.number;
  return (
    <li class={`station st-${s.id}${s.available ? '' : ' is-later'}${lensed ? ' is-lensed' : ''}`} {...(place ? { style: place } : {})}>
      <A href={s.href} class="plate">
        <span class="plate-head"><strong>{s.title}</strong> {s.available ? <StateWord state={s.state} word={s.word} /> : <span class="muted">not yet</span>}</span>
        {s.available && <span class="plate-number">{n && <><b class="num">{inUnit(n.value, n.unit)}</b> <span>{n.label}</span> <i aria-hidden="true">·</i> </>}{s.lastActivity ? <When at={s.lastActivity} /> : <span>nothing yet</span>}</span>}
        <span class="plate-sentence" title={s.sentence}>{s.sentence}</span>
      </A>
      {children}
    </li>
  );
}

/** A change on the line. When its station changes it travels there along the curve, and only then. */
function Dot({ change, width, nth }: { change: ChangeRow; width: number; nth: number }) {
  const goal = placeOf(change.station, nth);
  const [at, setAt] = useState(goal);
  const from = useRef(goal);
  useEffect(() => {
    const start = from.current;
    from.current = goal;
    if (start === goal || matchMedia('(prefers-reduced-motion: reduce)').matches) { setAt(goal); return; }
    const way = goal > start ? goal - start : goal + 1 - start;
    const began = performance.now();
    let frame = requestAnimationFrame(function step(time) {
      const part = Math.min(1, Math.max(0, (time - began) / MOVE_MS));
      setAt((start + way * part) % 1);
      if (part < 1) frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [goal]);
  const { x, y } = pointAt(at, width);
  const outside = y > pointAt(0, width).y ? 'is-under' : 'is-over';
  return (
    <li class={`dot is-${change.state} ${outside}`} style={{ left: `${x}px`, top: `${y}px` }}>
      <A href={`/changes/${change.sha}`} title={`${change.subject}: ${change.sentence}`} aria-label={`${short(change.sha)} ${change.subject}: ${change.sentence}`}>
        <i /><span class="mono">{short(change.sha)}</span>
      </A>
    </li>
  );
}

const HEAD = 'M-4.500-5 2.500 0-4.500 5';
function Lines({ stations, width }: { stations: Station[]; width: number }) {
  const [pipeline, observe] = [pointAt(STATION.pipeline, width), pointAt(STATION.observe, width)];
  const low = pipeline.y + 46;
  const back = `M${observe.x - 22} ${observe.y + 12}C${observe.x - 90} ${low} ${observe.x - 160} ${low} ${width / 2} ${low}S${pipeline.x + 90} ${low} ${pipeline.x + 24} ${pipeline.y + 14}`;
  const way = { from: STATION.provision, to: STATION.observe };
  const heads = [0.25, 0.425, 0.575, 0.75, 0.925, 0.075];
  return (
    <svg class="loop-lines" width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} aria-hidden="true">
      <path class="line-secure" d={`${path(width, 0, 1, 240)}Z`} />
      <path class="line-secure is-down" d={`M${pipeline.x} ${pipeline.y}V${BELOW}`} />
      <path class="line-hang" d={`M${observe.x} ${observe.y}V${BELOW}`} />
      <path class="line-back" d={path(width, way.to, 1 + way.from)} />
      <path class="line-way" d={path(width, way.from, way.to)} />
      <path class="line-back is-thin" d={back} />
      <path class="line-head is-thin" d={HEAD} transform={`translate(${pipeline.x + 24} ${pipeline.y + 14}) rotate(-152)`} />
      {heads.map((p) => { const { x, y } = pointAt(p, width); return <path key={p} class="line-head" d={HEAD} transform={`translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${headingAt(p, width).toFixed(1)})`} />; })}
      {stations.map((s) => {
        const { x, y } = ringPlace(s.id, width);
        return (
          <g key={s.id} class={`ring is-${s.state}${s.available ? '' : ' is-later'}`} transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}>
            <circle class="ring-out" r={RING} /><g transform="translate(-8 -8)"><Icon name={s.id} /></g>
          </g>
        );
      })}
    </svg>
  );
}

function Back({ home }: { home: LoopHome }) {
  const title = (id: StationId) => home.stations.find((s) => s.id === id)?.title ?? id;
  const flows = home.arrows.filter((a) => a.sentence && (a.from === 'observe' || a.from === 'optimize')).sort((a, b) => (b.at ?? '').localeCompare(a.at ?? ''));
  if (flows.length === 0) return <p class="back muted">No feedback has flowed yet.</p>;
  return (
    <ul class="back" aria-label="Feedback">
      {flows.slice(0, 3).map((a) => <li key={a.from + a.to}><span class="over">{title(a.from)} → {title(a.to)}</span><span class="told" title={a.sentence ?? ''}>{a.seq !== null && a.seq !== undefined && <EventRef seq={a.seq} />} {a.sentence}</span></li>)}
    </ul>
  );
}

export function Loop({ home, lensed }: { home: LoopHome; lensed: (id: StationId) => boolean }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const flight = home.inFlight.slice(0, MAX_DOTS);
  const nth = (c: ChangeRow) => flight.filter((o) => o.station === c.station).indexOf(c);
  if (width < WIDE) {
    return (
      <div class="loop" ref={box}>
        <ol class="stations" aria-label="Stations of the loop">
          {home.stations.map((s) => {
            const here = flight.filter((c) => c.station === s.id);
            return (
              <StationView key={s.id} station={s} lensed={lensed(s.id)}>
                {here.length > 0 && <ul class="here" aria-label={`Changes in ${s.title}`}>{here.map((c) => <li key={c.sha} class={`is-${c.state}`}><A href={`/changes/${c.sha}`} title={c.sentence}><i /><span class="mono">{short(c.sha)}</span> {c.subject}</A></li>)}</ul>}
              </StationView>
            );
          })}
        </ol>
        <Back home={home} />
      </div>
    );
  }
  return (
    <div class="loop is-wide" ref={box}>
      <Lines stations={home.stations} width={width} />
      <ol class="stations" aria-label="Stations of the loop">{home.stations.map((s) => <StationView key={s.id} station={s} lensed={lensed(s.id)} place={px(textPlace(s.id, width))} />)}</ol>
      <ul class="dots" aria-label="Changes in flight">{flight.map((c) => <Dot key={c.sha} change={c} width={width} nth={nth(c)} />)}</ul>
      <Back home={home} />
    </div>
  );
}
