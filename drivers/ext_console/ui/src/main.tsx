import { render } from "preact";
import { App } from "./app.tsx";
import { startTheme } from "./ui/theme.ts";
import { writeOutUnseen } from "./ui/unseen.ts";
import "./style.css";

startTheme();
writeOutUnseen();
const place = document.getElementById("console");
if (place) render(<App />, place);
