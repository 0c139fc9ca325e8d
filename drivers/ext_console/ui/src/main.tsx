import { render } from "preact";
import { App } from "./app.tsx";
import { startTheme } from "./ui/theme.ts";
import "./style.css";

startTheme();
const place = document.getElementById("console");
if (place) render(<App />, place);
