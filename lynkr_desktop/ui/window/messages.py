"""What stands across the top of the Overview when something wants attention."""

from __future__ import annotations

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QVBoxLayout, QWidget

from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel, Phase, Remedy
from lynkr_desktop.ui.problems import held_back, used_up
from lynkr_desktop.ui.theme.tokens import Motion, Space
from lynkr_desktop.ui.widgets.banner import Banner
from lynkr_desktop.ui.widgets.buttons import button
from lynkr_desktop.ui.window.session_banners import SessionBanners


class Messages(QWidget):
    """The banners, most pressing first; each is there only while it holds."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model, self._actions = model, actions
        self._remedy: Remedy | None = None
        self._config_path = ""

        self._problem = Banner("state-problem", "risk")
        self._remedy_button = button("", self._do_remedy, dense=True, primary=True)
        self._problem.add_button(self._remedy_button)
        self._config = Banner("state-problem", "risk")
        self._config.add_button(button(self.tr("&Open the file"), self._open_config, dense=True))
        self._config.add_button(button(self.tr("&Read again"), actions.reload_config, dense=True))
        self._paused = Banner("state-paused", "muted")
        self._paused.add_button(button(self.tr("&Resume"), actions.resume, dense=True, primary=True))
        self._sessions = SessionBanners(model, actions)
        self._held_back = Banner("state-paused", "muted")
        self._used_up = Banner("state-paused", "risk")
        self._no_model = Banner("download", "accent")
        self._download = button(self.tr("&Download"), self._pull_default, dense=True, primary=True)
        self._no_model.add_button(self._download)
        self._notice = Banner("check", "muted")
        self._notice.add_button(button(self.tr("Dis&miss"), self._dismiss, dense=True))
        self._notice_timer = QTimer(self)
        self._notice_timer.setSingleShot(True)
        self._notice_timer.setInterval(Motion.NOTICE)
        self._notice_timer.timeout.connect(self._dismiss)

        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Space.M)
        self._all = (
            self._problem,
            self._config,
            self._paused,
            self._sessions,
            self._used_up,
            self._no_model,
            self._held_back,
            self._notice,
        )
        for banner in self._all:
            self._column.addWidget(banner)
        model.changed.connect(self.refresh)
        model.notice.connect(self.show_notice)
        self.refresh()

    def show_notice(self, text: str) -> None:
        """Shows one sentence for a while."""
        self._notice.say(text, "")
        self._notice_timer.start()
        self._refresh_visible()

    def refresh(self) -> None:
        """Shows what holds now."""
        self._refresh_problem()
        self._refresh_config()
        self._refresh_paused()
        self._sessions.refresh()
        self._refresh_no_model()
        self._refresh_held_back()
        self._refresh_used_up()
        self._refresh_visible()

    def _refresh_visible(self) -> None:
        self.setVisible(any(not banner.isHidden() for banner in self._all))

    def _refresh_problem(self) -> None:
        problem = self._model.problem
        self._remedy = None if problem is None else problem.remedy
        if problem is None:
            self._problem.setVisible(False)
            return
        self._problem.say(problem.title, problem.text, problem.details)
        if self._remedy is not None:
            self._remedy_button.set_text(self._remedy_word(self._remedy))
        self._remedy_button.setVisible(self._remedy is not None)

    def _remedy_word(self, remedy: Remedy) -> str:
        if remedy.kind == "port":
            return self.tr("&Use port {port} instead").format(port=remedy.port)
        return self.tr("&Restart it") if remedy.kind == "restart" else self.tr("&Try again")

    def _refresh_config(self) -> None:
        config = None if self._model.status is None else self._model.status.config
        if config is None or not config.error:
            self._config.setVisible(False)
            return
        self._config_path = config.path
        self._config.say(
            self.tr("Your last change to the configuration was not taken"),
            self.tr("{error}\nThe old one stays in force. Mend the file; saving it is enough.").format(
                error=config.error.strip()
            ),
            f"{config.path}\n{config.error}",
        )

    def _refresh_paused(self) -> None:
        status = self._model.status
        if self._model.phase is not Phase.PAUSED or status is None:
            self._paused.setVisible(False)
            return
        if status.paused_until is None:
            title = self.tr("Paused until you resume")
        else:
            title = self.tr("Paused until {time}").format(time=fmt.clock(status.paused_until))
        self._paused.say(title, self.tr("Agents are told to try again later."))

    def _refresh_no_model(self) -> None:
        status = self._model.status
        usable = any(
            candidate.usable and candidate.state != "downloading"
            for tier in self._model.tiers
            if tier.enabled
            for candidate in tier.candidates
        )
        default = self._default_model()
        if status is None or usable or not self._model.tiers:
            self._no_model.setVisible(False)
        elif default is None:
            self._no_model.say(
                self.tr("No model can answer"),
                self.tr("Start Ollama, or add a provider's key. The tiers below say what each one lacks."),
            )
            self._download.setVisible(False)
        else:
            name, size = default
            self._no_model.say(
                self.tr("No model can answer yet"),
                self.tr("Download {model} ({size}) to answer on this computer, or start Ollama.").format(
                    model=name, size=size
                ),
            )
            self._download.setVisible(True)

    def _refresh_held_back(self) -> None:
        breakers = () if self._model.status is None else self._model.status.breakers
        if breakers:
            self._held_back.say(*held_back(breakers))
        else:
            self._held_back.setVisible(False)

    def _refresh_used_up(self) -> None:
        status = self._model.status
        spent = [] if status is None else [budget for budget in status.budgets if budget.share >= 1]
        if spent:
            self._used_up.say(*used_up(spent))
        else:
            self._used_up.setVisible(False)

    def _default_model(self) -> tuple[str, str] | None:
        status = self._model.status
        for model in () if status is None else status.models:
            if model.default and model.state in ("absent", "failed"):
                return model.title, fmt.size(model.size)
        return None

    def _pull_default(self) -> None:
        status = self._model.status
        for model in () if status is None else status.models:
            if model.default:
                self._actions.pull_model(model.id)

    def _do_remedy(self) -> None:
        if self._remedy is not None:
            self._actions.remedy(self._remedy)

    def _open_config(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self._config_path))

    def _dismiss(self) -> None:
        self._notice.setVisible(False)
        self._refresh_visible()
