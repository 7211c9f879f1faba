"""Words that prompts hold for their own sake: bare and in lower case they name no symbol."""

from __future__ import annotations

_TEXT = """
able about above account action actions active actual after again against agent also always another
answer apply area around array async auth await back background base batch been before begin behind
being below best better between both branch break bring buffer build button bytes cache call caller
calls cancel case catch cause change changes check child class clean clear client close code collect
color command comment commit common compare complete component config connect connection constant
content context control convert copy core correct count create current custom data database date
debug decode default define delete depend deploy describe design details device dialog dict diff
different directory disable display document done down draw driver each edit either element else
empty enable encode engine enough ensure enter entry enum environment error errors even event events
every example except exception execute exist exit expand expect explain export extend extra fail
failed failure false fast feature fetch field fields file files fill filter final finally find
finish first flag float flow folder follow form format forward found frame from full function
further general generate give good graph group guard handle handler have head header headers help
here high history home hook host icon image implement import improve include index info init inner
input insert install instance instead int integer interface internal into issue item items iterate
join just keep kind know label language large last later layout lead leave left length less level
library like limit line lines link list listen little load local lock log logger login logout long
look loop made main make manage manager many match maximum mean measure memory menu merge message
messages method middle might minimum missing mock mode model models module more most move much
multiple must name names need never next node nodes none normal note nothing null number object
often once only open option options order other output over own package page panel parameter parent
parse parser part pass password path pattern pause permission person place plain please plugin point
pool position possible post prefix prepare present press previous print private problem process
product program project property protocol provide provider public pull push query queue quick quit
raise random range rather read reader ready real reason receive record reduce refactor refresh
register reject release reload remove rename render repeat replace report repository request
requests require reset resolve resource response rest result results retry return review right role
root route router routes row rule rules run running safe same save scan schedule schema scope score
screen script search second section security seem select send sentence separate sequence server
service session sessions set setting settings setup shape share shell short should show shut side
sign signal similar simple since single site size skip sleep slow small some sort source space
special split stack stage standard start state statement static statistics status step steps still
stop storage store stream string strip strong structure style submit success such sum support sure
switch symbol sync system table tables take target task tasks team tell template test tests text
than that their them then there these they thing think this thread through time timeout title
together token tokens tool tools top total touch trace track transform tree trigger true turn type
types under undo unit until update upload upper use used user users using usually utility validate
value values variable verify version view visit wait walk want warn warning watch what when where
which while whole width will window with without word words work worker workers would wrap write
writer wrong year yield your
"""

COMMON = frozenset(_TEXT.split())
