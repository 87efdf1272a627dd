export default function Page(_: {stage?: string}) { return <p>later</p>; }
