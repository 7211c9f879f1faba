"""The phrases by which it is known that a sentence is worth remembering, in several languages.

Each begins at the start of a clause, so that "it always fails" is none, and "always run tox" is one.
"""

from __future__ import annotations

import re

_START = (
    r"(?:^|[,;:\u2013\u2014-]\s|\b(?:please|and|but|bitte|und|aber|s'il te plaît|et|mais|"
    r"por favor|y|pero|e|ma)\s|[。，、：])"
)


def _at_start(*phrases: str) -> re.Pattern[str]:
    return re.compile(f"{_START}\\s?(?:{'|'.join(phrases)})", re.IGNORECASE)


PREFERENCE = _at_start(
    # English
    r"(?:you |we )?(?:should |must )?(?:always|never)\s+\w+",
    r"(?:from now on|in (?:the )?future|going forward)\b",
    r"(?:i|we)(?:'d| would)? (?:always |really |strongly )?(?:prefer|like (?:it )?when)\b",
    r"(?:don['\u2019]t|do not) (?:ever )?(?:use|commit|push|mock|install)\b(?! (?:the|this|that|it|them)\b)",
    r"(?:use|prefer) \S+(?: \S+){0,3} (?:instead of|rather than|over|not)\b",
    r"(?:use|prefer|write|stick (?:to|with)) \S+(?: \S+){0,4} (?:for|in) (?:all|every|any|our|new|"
    r"tests?|commits?)\b",
    r"remember (?:that|to|this|:)",
    r"(?:i|we) (?:want|need) you to (?:always|never)\b",
    # German
    r"(?:immer|nie|niemals)\s+\w+",
    r"(?:ab jetzt|ab sofort|künftig|in zukunft)\b",
    r"(?:ich|wir) (?:bevorzuge|möchte|will|hätte|ziehe)n? .{0,60}\b(?:immer|nie|lieber|vor)\b",
    r"(?:ich bevorzuge|wir bevorzugen)\b",
    r"(?:verwende|benutze|nutze|nimm|schreib|nehmt|verwendet) .{1,60}\b(?:immer|statt|anstatt"
    r"|anstelle|nie)\b",
    r"merk(?:e)? dir\b",
    # French
    r"(?:toujours|jamais|désormais|dorénavant|à partir de maintenant)\b",
    r"(?:je préfère|nous préférons|on préfère)\b",
    r"(?:n'utilise|ne fais|n'ajoute|ne touche|n'utilisez|évite|évitez|souviens-toi)\b",
    r"(?:utilise|utilisez|écris) .{1,60}\b(?:toujours|au lieu de|plutôt que|jamais)\b",
    # Spanish, Portuguese, Italian
    r"(?:siempre|nunca|a partir de ahora|de ahora en adelante|sempre|d'ora in poi|a partir de agora"
    r"|mai)\s+\w+",
    r"(?:prefiero|preferimos|prefiro|preferisco|evita|evite|no uses|não use|non usare|recuerda|lembre"
    r"|ricorda)\b",
    r"(?:usa|use|utiliza) .{1,60}\b(?:siempre|en lugar de|en vez de|em vez de|sempre|invece di"
    r"|al posto di)\b",
    # Russian
    r"(?:всегда|никогда|впредь|отныне)\s+\w+",
    r"(?:я предпочитаю|мы предпочитаем|запомни|не используй)\b",
    # Chinese, Japanese, Korean
    r"(?:请)?(?:总是|始终|一律|永远不要|以后|从现在起|不要用|不要使用|别用|优先|记住)",
    r".{0,40}(?:いつも|常に|今後は|必ず|絶対に|使わないで|覚えておいて)",
    r".{0,40}(?:항상|앞으로는|절대|기억해)",
)
"""How a person says what is to be done each time."""

DECISION = _at_start(
    r"(?:we|i)(?:'ve| have)? (?:decided|agreed|chose|chosen|settled|opted)\b",
    r"(?:we|i)(?:'re| are|'m| am) (?:going|sticking) with\b",
    r"(?:we|i)(?:'ll| will| are going to) (?:use|keep|stick with|go with|stay with|drop|move to|switch to)\b",
    r"(?:we|i) (?:moved|switched|migrated) (?:\S+ ){0,4}(?:to|from)\b",
    r"let(?:'|’)?s (?:go with|use|stick with|stay with|keep|switch to|move to)\b",
    r"(?:wir|ich) (?:haben|habe) (?:uns|mich) .{0,60}entschieden",
    r"wir (?:nehmen|verwenden|nutzen|bleiben bei|setzen auf|behalten)\b",
    r"(?:lass|lasst) uns .{1,60}\b(?:nehmen|verwenden|bleiben|nutzen)\b",
    r"(?:nous avons|on a) (?:décidé|choisi)\b",
    r"(?:on|nous) (?:part|partons|reste|restons|garde|gardons) (?:sur|avec)?\b",
    r"(?:hemos decidido|decidimos|vamos a usar|nos quedamos con|vamos usar|abbiamo deciso|usiamo)\b",
    r"мы (?:решили|выбрали|перешли)\b",
    r"我们(?:决定|选择|采用|改用)",
    r".{0,40}(?:に決め|することにし|を採用)",
)
"""How people say what was decided."""

FACT = _at_start(
    r"(?:(?:the|our|my|this|all|each|every)(?: [\w`'./-]+){1,6}?) (?:is|are|runs?|lives?"
    r"|sits?|listens?|uses?|needs?|"
    r"requires?|depends?|belongs?|comes?|goes|expects?|returns?|speaks?|must be|has to be)\b",
    r"(?:(?:unser|unsere|der|die|das|mein|meine|alle"
    r"|jede[rs]?)(?: [\w`'./-]+){1,6}?) (?:ist|sind|läuft|laufen|liegt|"
    r"liegen|heißt|heißen|benutzt|nutzt|braucht|brauchen|verwendet|steht|stehen|hört|erwartet|gehört)\b",
    r"(?:(?:notre|nos|le|la|les|mon|ma|mes|l')(?: ?[\w`'./-]+){1,6}?) (?:est|sont"
    r"|se trouve|tourne|utilise|écoute|dépend)\b",
    r"(?:(?:nuestro|nuestra|el|la|los|las|mi|o|a|il)(?: [\w`'./-]+){1,6}?) (?:está|están"
    r"|es|corre|usa|vive|escucha|"
    r"necesita|depende|fica|roda|gira)\b",
)
"""How people say what is so. Taken only where it names something particular."""

FIX = _at_start(
    r"(?:the|its?) (?:root )?(?:cause|problem|issue|bug|culprit|reason|fix|solution|trick)"
    r"(?: (?:for|of|with|behind|here) [^,.;]{1,60})? (?:was|is|turned out|lay)\b",
    r"(?:it|that|this) (?:was|failed|broke|crashed|happened|occurred) (?:because|since|due to|caused by)\b",
    r"(?:i(?:'ve| have)? )?(?:fixed|solved|resolved|repaired)\b.{0,120}\b(?:by|with|through|since|because)\b",
    r"(?:i|we) (?:had to|needed to) .{1,120}\b(?:because|since|so that|to avoid)\b",
    r"(?:die ursache|das problem|der fehler|der grund|die lösung) (?:war|lag|ist)\b",
    r"(?:behoben|gelöst|repariert)\b.{0,120}\b(?:indem|durch|mit|weil)\b",
    r"(?:la cause|le problème|l'erreur|la solution) (?:était|venait|est)\b",
    r"(?:la causa|el problema|el error|la solución|o problema|il problema) (?:era|fue|es|estaba|è)\b",
    r"(?:原因是|问题是|問題は|原因は)",
)
"""How people and models say what was wrong, and what mended it."""

PASSING = re.compile(
    r"\b(?:fail(?:s|ed|ing|ure)?|broken|crash(?:es|ed|ing)?|wrong|errors?|exception|not working"
    r"|doesn't|does not|isn't|"
    r"aren't|won't|missing|still|right now|currently|today|slow|too|schlägt|kaputt|falsch|fehlt"
    r"|geht nicht|noch|gerade|"
    r"heute|échoue|cassé|erreur|manque|encore|falla|roto|falta|todavía|ahora)\b",
    re.IGNORECASE,
)
"""What says that something is so for the moment: the task itself, no fact to keep."""

COMMANDS = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|prompts?|rules?|above|previous|prior|guidelines?)"
    r"|system prompt|developer mode|you are now\b|act as\b|jailbreak|new instructions?"
    r"|(?:do not|don't|never|without) (?:tell|telling|inform|mention|ask|asking|show)(?:ing)? (?:it "
    r"|this )?(?:to )?(?:the |a |any )?"
    r"(?:user|human|person|anyone|permission|confirmation|approval)"
    r"|(?:curl|wget|iwr|irm)\b[^|]{0,200}\|\s{0,3}(?:ba|z|da)?sh\b|base64 (?:-d|--decode)|\brm -rf\b|\beval\("
    r"|(?:send|post|upload|exfiltrate|leak|forward)\b.{0,60}\b(?:keys?|tokens?|secrets?|credentials?|passwords?|env)\b"
    r"|(?:disable|turn off|skip)\b.{0,40}\b(?:security|sandbox|verification|permission|safety)"
    r"|(?:ignorier|vergiss|missachte)\w*\b.{0,40}\b(?:anweisung|regeln|vorgaben|bisherige)"
    r"|(?:ignore[zs]?|oublie[zs]?|ignora)\b.{0,40}\b(?:instruc|consignes|règles|reglas|anterior)",
    re.IGNORECASE | re.DOTALL,
)
"""What attacks say. A sentence that holds one of these is never kept, whoever said it."""

DEMANDS = re.compile(
    r"\b(?:always|never|must|should|shall|please|ensure|make sure|remember|important|from now on"
    r"|you (?:need|have) to|do not|"
    r"don't|run|execute|immer|nie|niemals|musst|sollst|bitte|toujours|jamais|devez|dois|siempre|nunca|debes|всегда|никогда)\b"
    r"|总是|永远|必须|常に|必ず",
    re.IGNORECASE,
)
"""What asks for something. A model's statement that does is not kept: it may repeat what it read."""

PASTED = re.compile(
    r"(?:^|\b)(?:here(?:'s| is| are)|this is|(?:the |my )?(?:output|logs?|error|errors|trace"
    r"|traceback|stack ?trace|readme|file|page|"
    r"content|contents|e-?mail|message|ticket|issue|comment|response|docs?|documentation|diff|patch|article|code|snippet)"
    r"(?: \S+){0,4}|i (?:got|get|see|found|received)|it (?:says|said|prints|shows)|(?:he|she|they"
    r"|someone|somebody) (?:wrote|says|said)|"
    r"pasted?|quot(?:e|ed|ing)|from the \S+|below|hier ist|hier die|die ausgabe|der fehler|ausgabe"
    r"|voici|aquí está|la salida)"
    r"[^:\n]{0,60}:\s*$",
    re.IGNORECASE,
)
"""A line after which stands what somebody else wrote."""

OBJECTS = re.compile(
    r"^\W{0,3}(?:no|nope|nah|wrong|nein|falsch|non|faux|нет|不|いや)\b"
    r"|\b(?:wrong|incorrect|undo|revert|roll back|that['\u2019]?s not|"
    r"not (?:right|true|correct|it|the (?:cause|problem|issue|reason|bug))|"
    r"still (?:fail|broken|breaks|not|does|doesn|the same|see|get|crash)|"
    r"(?:doesn|didn|don)['\u2019]?t (?:work|help|fix|change)|"
    r"stimmt nicht|immer noch|geht nicht|hilft nicht|toujours pas|ne marche pas|sigue fallando|no funciona)",
    re.IGNORECASE,
)
"""How a person says that what the model told is not so. Where it may be meant so, nothing is kept."""
