export default function Page(_: {stage?: string}) { return <p>logs</p>; }
