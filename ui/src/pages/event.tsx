export default function Page(_: {stage?: string}) { return <p>event</p>; }
