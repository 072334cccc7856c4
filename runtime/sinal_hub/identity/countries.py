"""Every country of ISO 3166-1: alpha-2, alpha-3 and its names in English, Portuguese and Spanish.

Shoppers and gateways write "Brasil", "BRA" or "Estados Unidos"; Meta takes `br` and `us` only. One
row a country; a row that is too long goes on in the next line, indented. No name or code belongs to
two countries (tested).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sinal_hub.identity.text import fold

_TABLE = """
ad and Andorra; Principality of Andorra; Principado de Andorra
ae are UAE; Emirados Árabes Unidos; Emirados Árabes; Emiratos Árabes Unidos; EAU; United Arab Emirates
af afg Afghanistan; Islamic Republic of Afghanistan; Afeganistão; República Islâmica do Afeganistão; Afganistán;
  República Islámica de Afganistán
ag atg Antigua and Barbuda; Antígua e Barbuda; Antigua y Barbuda
ai aia Anguilla; Anguila
al alb Albania; Republic of Albania; República da Albânia; República de Albania
am arm Armenia; Republic of Armenia; República da Armênia; República de Armenia
ao ago Angola; Republic of Angola; República de Angola
aq ata Antarctica; Antártida
ar arg Argentina; Argentine Republic; República da Argentina; República Argentina
as asm American Samoa; Samoa Americana; Samoa Estadounidense
at aut Austria; Republic of Austria; República da Áustria; República de Austria
au aus Australia
aw abw Aruba
ax ala Åland Islands; Ilhas Åland; Ilhas Alanda; Islas Äland
az aze Azerbaijan; Republic of Azerbaijan; Azerbaidjão; República do Azerbaidjão; Azerbaijão; República do
  Azerbaijão; Azerbaiyán; República de Azerbaiyán
ba bih Bosnia and Herzegovina; Republic of Bosnia and Herzegovina; Bósnia-Herzegóvina; República da
  Bósnia-Herzegóvina; Bósnia e Herzegovina; Bosnia y Herzegovina; República de Bosnia y Hercegovina
bb brb Barbados
bd bgd Bangladesh; People's Republic of Bangladesh; República Popular de Bangladesh; Bangladeche; República
  Popular do Bangladeche; Bangladés; República Popular de Bangladés
be bel Belgium; Kingdom of Belgium; Bélgica; Reino da Bélgica; Reino de Bélgica
bf bfa Burkina Faso; Burquina; Burquina Faso
bg bgr Bulgaria; Republic of Bulgaria; República da Bulgária; República de Bulgaria
bh bhr Bahrein; Barein; Bahrain; Kingdom of Bahrain; Reino de Barein; Barém; Reino do Barém
bi bdi Burundi; Republic of Burundi; República do Burundi; República de Burundi
bj ben Benin; Republic of Benin; República de Benin; Benim; República do Benim
bl blm Saint Barthélemy; São Bartolomeu; San Bartolomé
bm bmu Bermuda; Bermudas; Islas Bermudas
bn brn Brunei; Brunei Darussalam
bo bol Bolivia; Plurinational State of Bolivia; Estado Plurinacional da Bolívia; Estado plurinacional de Bolivia
bq bes Bonaire, Sint Eustatius and Saba; Bonaire, Santo Eustáquio e Saba; Bonaire; Islas BES; Caribe Neerlandés
br bra Brasil; Brazil; República Federativa do Brasil; Federative Republic of Brazil; República Federativa de
  Brasil
bs bhs Bahamas; Commonwealth of the Bahamas; Comunidade das Bahamas; Commonwealth de las Bahamas
bt btn Bhutan; Kingdom of Bhutan; Butão; Reino do Butão; Bután; Reino de Bután
bv bvt Bouvet Island; Ilha Bouvet; Isla Bouvet
bw bwa Botswana; Republic of Botswana; Botsuana; República de Botsuana; República do Botsuana
by blr Belarus; Republic of Belarus; Bielo-Rússia; República da Bielo-Rússia; Bielorrusia; República de
  Bielorrusia
bz blz Belize; Belice
ca can Canada
cc cck Cocos (Keeling) Islands; Ilhas Cocos; Islas Cocos (Keeling); Cocos Islands; Islas Cocos
cd cod Democratic Republic of the Congo; DR Congo; República Democrática do Congo; República Democrática del
  Congo; Congo-Kinshasa; The Democratic Republic of the Congo
cf caf Central African Republic; República Centro-Africana
cg cog Congo; Republic of the Congo; República do Congo; República del Congo; Congo-Brazzaville
ch che Schweiz; Suisse; Switzerland; Swiss Confederation; Suíça; Confederação Suíça; Suiza; Confederación Suiza
ci civ Ivory Coast; Costa do Marfim; Costa de Marfil; Côte d'Ivoire; Republic of Côte d'Ivoire; República da
  Costa do Marfim; República de Costa de Marfíl
ck cok Cook Islands; Ilhas Cook; Islas Cook
cl chl Chile; Republic of Chile; República do Chile; República de Chile
cm cmr Cameroon; Republic of Cameroon; Camarões; República de Camarões; República dos Camarões; Camerún;
  República del Camerún
cn chn China; People's Republic of China; República Popular da China; República Popular China
co col Colombia; Republic of Colombia; República da Colômbia; República de Colombia
cr cri Costa Rica; Republic of Costa Rica; República de Costa Rica; República da Costa Rica
cu cub Cuba; Republic of Cuba; República de Cuba
cv cpv Cape Verde; Cabo Verde; Republic of Cabo Verde; República do Cabo Verde; República de Cabo Verde
cw cuw Curaçao; Curazao
cx cxr Christmas Island; Ilha Christmas; Ilha Natal; Isla de Navidad
cy cyp Cyprus; Republic of Cyprus; Chipre; República do Chipre; República de Chipre
cz cze Czech Republic; República Tcheca; República Checa; Chéquia; Tchéquia; Czechia
de deu Deutschland; Germany; Federal Republic of Germany; Alemanha; República Federativa da Alemanha; República
  Federal da Alemanha; Alemania; República Federal de Alemania
dj dji Djibouti; Republic of Djibouti; Djibuti; República do Djibuti; República do Djibouti; Yibuti; República
  de Yibuti
dk dnk Denmark; Kingdom of Denmark; Dinamarca; Reino da Dinamarca; Reino de Dinamarca
dm dma Dominica; Commonwealth of Dominica; Comunidade de Domínica; Comunidade da Dominica; Commonwealth de
  Dominica
do dom Dominican Republic; República Dominicana
dz dza Algeria; People's Democratic Republic of Algeria; Argélia; República Democrática Popular da Argélia;
  República Democrática e Popular da Argélia; República Democrática Popular de Argelia
ec ecu Ecuador; Republic of Ecuador; Equador; República do Equador; República del Ecuador
ee est Estônia; Republic of Estonia; República da Estônia; República de Estonia
eg egy Egypt; Arab Republic of Egypt; Egito; República Árabe do Egito; Egipto; República Árabe de Egipto
eh esh Western Sahara; Saara Ocidental; Sahara Occidental
er eri Eritrea; the State of Eritrea; Eritréia; Estado da Eritrea; Estados da Eritreia; Estado de Eritrea
es esp España; Spain; Kingdom of Spain; Espanha; Reino da Espanha; Reino de Espanha; Reino de España
et eth Ethiopia; Federal Democratic Republic of Ethiopia; Etiópia; República Federativa Democrática da Etiópia;
  República Democrática Federal da Etiópia; República Federal Democrática de Etiopía
fi fin Finland; Republic of Finland; Finlândia; República da Finlândia; República de Finlandia
fj fji Fiji; Republic of Fiji; República do Fiji; República das Fiji; Fiyi; República de Fiyi
fk flk Falkland Islands; Ilhas Malvinas; Islas Malvinas; Falkland Islands (Malvinas); Ilhas Malvinas (Falkland);
  Ilhas Falkland (Malvinas); Islas Falkland (Malvinas); Ilhas Falkland; Islas Falkland
fm fsm Micronesia; Federated States of Micronesia; Estados Federados da Micronésia; Estados Federados de
  Micronesia
fo fro Faroe Islands; Ilhas Faroe; Islas Feroe
fr fra France; French Republic; França; República da França; República Francesa; Francia
ga gab Gabon; Gabonese Republic; Gabão; República Gabonesa
gb gbr UK; Great Britain; Britain; England; Scotland; Wales; Northern Ireland; Inglaterra; Escócia; País de
  Gales; Gales; Irlanda do Norte; Irlanda del Norte; Grã-Bretanha; Gran Bretaña; Reino Unido; United Kingdom;
  United Kingdom of Great Britain and Northern Ireland; Reino Unido de Grã-Bretanha e Irlanda do Norte; Reino
  Unido da Grã-Bretanha e Irlanda do Norte; Reino Unido de Gran Bretaña e Irlanda del Norte
gd grd Grenada; Granada
ge geo Georgia
gf guf French Guiana; Guiana Francesa; Guayana Francesa
gg ggy Guernsey
gh gha Ghana; Republic of Ghana; Gana; República do Gana; República de Ghana
gi gib Gibraltar
gl grl Greenland; Groenlândia; Gronelândia
gm gmb Gambia; Republic of the Gambia; República da Gâmbia; República de Gambia
gn gin Guinea; Republic of Guinea; Guiné; República da Guiné; República de Guinea
gp glp Guadeloupe; Guadalupe
gq gnq Equatorial Guinea; Republic of Equatorial Guinea; Guiné Equatorial; República da Guiné Equatorial; Guinea
  Ecuatorial; República de Guinea Ecuatorial
gr grc Greece; Hellenic Republic; Grécia; República Helênica
gs sgs South Georgia and the South Sandwich Islands; Geórgia do Sul e Ilhas Sandwich do Sul; Ilhas Geórgia do
  Sul e Sandwich do Sul; Islas Georgias del Sur y Sándwich del Sur
gt gtm Guatemala; Republic of Guatemala; República da Guatemala; República de Guatemala
gu gum Guam
gw gnb Guiné-Bissau; Guinea-Bissau; Republic of Guinea-Bissau; República da Guiné-Bissau; Guinea-Bisáu;
  República de Guinea-Bissau
gy guy Guyana; Republic of Guyana; Guiana; República da Guiana; República de Guyana
hk hkg Hong Kong; Hong Kong Special Administrative Region of China; Região Administrativa Especial de Hong Kong;
  Región Administrativa Especial China de Hong Kong; Região de Administração Especial da China Hong Kong
hm hmd Heard Island and McDonald Islands; Ilha Heard e Ilhas McDonald; Isla Heard e Islas McDonald
hn hnd Honduras; Republic of Honduras; República das Honduras; República de Honduras
hr hrv Croatia; Republic of Croatia; Croácia; República da Croácia; República de Croacia
ht hti Haiti; Republic of Haiti; República do Haiti; República de Haití
hu hun Hungary; Hungria
id idn Indonesia; Republic of Indonesia; República da Indonésia; República de Indonesia
ie irl Ireland; Irlanda
il isr Israel; State of Israel; Estado de Israel
im imn Isle of Man; Ilha de Man; Isla de Man
in ind India; Republic of India; República da Índia; República de la India
io iot British Indian Ocean Territory; Território Britânico do Oceano Índico; Territorio Británico del Océano
  Índico
iq irq Iraq; Republic of Iraq; Iraque; República do Iraque; Irak; República de Irak
ir irn Iran; Irã; Irão; Islamic Republic of Iran; República Islâmica do Irã; República Islâmica do Irão;
  República Islámica de Irán
is isl Iceland; Republic of Iceland; Islândia; República da Islândia; República de Islandia
it ita Italia; Italy; Italian Republic; República da Itália; República Italiana
je jey Jersey
jm jam Jamaica
jo jor Jordan; Hashemite Kingdom of Jordan; Jordânia; Reino Hashemita da Jordânia; Reino Hachemita da Jordânia;
  Reino Hachemí de Jordania
jp jpn Japão; Japón; Japan
ke ken Quênia; Kenya; Republic of Kenya; República do Quênia; Kenia; República de Kenia
kg kgz Kyrgyzstan; Kyrgyz Republic; Quirguistão; República do Quirguistão; República do Quirgistão; Kirguistán;
  República Kirguiza
kh khm Cambodia; Kingdom of Cambodia; Camboja; Reino do Camboja; Camboya; Reino de Camboya
ki kir Kiribati; Republic of Kiribati; República de Kiribati
km com Comoros; Union of the Comoros; Comores; União das Comores; Unión de las Comores; Islas Comores
kn kna Saint Kitts and Nevis; São Cristóvão e Névis; San Cristóbal y Nieves
kp prk North Korea; Coreia do Norte; Corea del Norte; Democratic People's Republic of Korea; República Popular
  Democrática da Coreia; República Popular Democrática de Corea; República Democrática Popular de Corea
kr kor South Korea; Coreia do Sul; Corea del Sur; Korea; Republic of Korea; República da Coreia; República de
  Corea
kw kwt Kuaite; Kuwait; State of Kuwait; Estado do Kuwait; Estado de Kuwait
ky cym Cayman Islands; Ilhas Cayman; Ilhas Caimão; Islas Caimán
kz kaz Kazakhstan; Republic of Kazakhstan; Cazaquistão; República do Cazaquistão; Kazajistán; República de
  Kazajistán
la lao Laos; Lao People's Democratic Republic; República Popular Democrática do Laos; República Democrática
  Popular do Laos; República Democrática Popular de Lao
lb lbn Lebanon; Lebanese Republic; Líbano; República do Líbano; República Libanesa
lc lca Saint Lucia; Santa Lúcia
li lie Liechtenstein; Principality of Liechtenstein; Principado de Liechtenstein; Principado do Liechtenstein
lk lka Sri Lanka; Democratic Socialist Republic of Sri Lanka; República Socialista Democrática de Sri Lanka;
  República Democrática Socialista do Sri Lanka
lr lbr Liberia; Republic of Liberia; República da Libéria; República de Liberia
ls lso Lesotho; Kingdom of Lesotho; Lesoto; Reino de Lesoto; Reino do Lesoto
lt ltu Lithuania; Republic of Lithuania; Lituânia; República da Lituânia; República de Lituania
lu lux Luxembourg; Grand Duchy of Luxembourg; Luxemburgo; Grão-Ducado de Luxemburgo; Grã-Ducado do Luxemburgo;
  Gran Ducado de Luxemburgo
lv lva Letônia; Latvia; Republic of Latvia; República da Letônia; República de Letonia
ly lby Libya; Líbia
ma mar Morocco; Kingdom of Morocco; Marrocos; Reino de Marrocos; Marruecos; Reino de Marruecos
mc mco Mônaco; Principality of Monaco; Principado de Mônaco; Principado do Mónaco
md mda Moldova; Moldávia; Republic of Moldova; República da Moldávia; República de Moldavia
me mne Montenegro
mf maf Saint Martin (French part); São Martim (parte francesa); São Martin (Território Francês); San Martín
  (zona francesa)
mg mdg Madagascar; Republic of Madagascar; República de Madagascar
mh mhl Marshall Islands; Republic of the Marshall Islands; Ilhas Marshall; República das Ilhas Marshall; Islas
  Marshall; República de las Islas Marshall
mk mkd Macedonia; North Macedonia; Macedônia do Norte; Republic of North Macedonia; República da Macedônia do
  Norte; Macedonia del Norte; República de Macedonia del Norte
ml mli Mali; Republic of Mali; República do Mali; República de Mali
mm mmr Burma; Birmânia; Mianmar; Myanmar; Republic of Myanmar; República da Myanmar; República da Birmânia;
  República de la Unión de Myanmar
mn mng Mongolia
mo mac Macau; Macao; Macao Special Administrative Region of China; Região Administrativa Especial de Macau;
  Región Administrativa Especial China de Macao; Região Especial de Administração Chinesa Macau
mp mnp Northern Mariana Islands; Commonwealth of the Northern Mariana Islands; Ilhas Marianas do Norte;
  Comunidade das Ilhas Marianas do Norte; Islas Marianas del Norte; Commonwealth de las Islas Marianas del Norte
mq mtq Martinique; Martinica
mr mrt Mauritania; Islamic Republic of Mauritania; República Islâmica da Mauritânia; República Islámica de
  Mauritania
ms msr Montserrat; Monserrate
mt mlt Malta; Republic of Malta; República de Malta
mu mus Mauritius; Republic of Mauritius; Maurício; República de Maurício; Maurícia; República de Maurícias
mv mdv Maldives; Republic of Maldives; Maldivas; República das Maldivas; Islas Maldivas; República de Maldivas
mw mwi Malawi; Republic of Malawi; Malaui; República de Malaui; República do Malawi; República de Malawi
mx mex México; United Mexican States; Estados Unidos do México; Estados Unidos Mexicanos
my mys Malaysia; Malásia
mz moz Mozambique; Republic of Mozambique; Moçambique; República de Moçambique; República de Mozambique
na nam Namibia; Republic of Namibia; República da Namíbia; República de Namibia
nc ncl New Caledonia; Nova Caledônia; Nueva Caledonia
ne ner Niger; Republic of the Niger; República do Níger; República del Níger
nf nfk Norfolk Island; Ilha Norfolk; Isla Norfolk
ng nga Nigeria; Federal Republic of Nigeria; República Federativa da Nigéria; República Federal da Nigéria;
  República Federal de Nigeria
ni nic Nicaragua; Republic of Nicaragua; República da Nicarágua; República de Nicaragua
nl nld Holland; Holanda; The Netherlands; Netherlands; Kingdom of the Netherlands; Países Baixos; Reino dos
  Países Baixos; Países Bajos; Reino de los Países Bajos
no nor Norway; Kingdom of Norway; Noruega; Reino da Noruega; Reino de Noruega
np npl Nepal; Federal Democratic Republic of Nepal; República Democrática Federativa do Nepal; República
  Democrática Federal do Nepal; República Federal Democrática de Nepal
nr nru Nauru; Republic of Nauru; República de Nauru
nu niu Niue
nz nzl Nova Zelândia; Nueva Zelanda; New Zealand
om omn Oman; Sultanate of Oman; Omã; Sultanato de Omã; Sultanato de Omán
pa pan Panama; Republic of Panama; República do Panamá; República de Panamá
pe per Peru; Republic of Peru; República do Peru; República del Perú
pf pyf French Polynesia; Polinésia Francesa
pg png Papua New Guinea; Independent State of Papua New Guinea; Papua-Nova Guiné; Estado Independente da
  Papua-Nova Guiné; Estado Independente de Papua-Nova Guiné; Papúa Nueva Guinea; Estado Independiente de Papúa
  Nueva Guinea
ph phl Philippines; Republic of the Philippines; Filipinas; República das Filipinas; República de Filipinas
pk pak Pakistan; Islamic Republic of Pakistan; Paquistão; República Islâmica do Paquistão;
  República Islámica de Pakistán
pl pol Polônia; Poland; Republic of Poland; República da Polônia; República de Polonia
pm spm Saint Pierre and Miquelon; São Pedro e Miquelon; Saint Pierre e Miquelon; San Pedro y Miquelon
pn pcn Pitcairn
pr pri Porto Rico; Puerto Rico
ps pse Palestine; Palestina; the State of Palestine; Estado da Palestina; Estado de Palestina; State of
  Palestine
pt prt Portugal; Portuguese Republic; República de Portugal; República Portuguesa
pw plw Palau; Republic of Palau; República de Palau; Palaos
py pry Paraguay; Republic of Paraguay; Paraguai; República do Paraguai; República del Paraguay
qa qat Qatar; State of Qatar; Catar; Estado de Catar; Estado do Catar; Estado de Qatar
re reu Réunion; Reunião; Ilha Reunião
ro rou Romênia; Romania; Rumanía
rs srb Serbia; Republic of Serbia; Sérvia; República da Sérvia; República de Serbia
ru rus Russia; Rusia; Russian Federation; Federação Russa; Federación Rusa
rw rwa Rwanda; Rwandese Republic; Ruanda; República de Ruanda; República do Ruanda
sa sau Arábia Saudita; Arabia Saudí; Saudi Arabia; Kingdom of Saudi Arabia; Reino da Arábia Saudita; Reino de
  Arabia Saudí
sb slb Solomon Islands; Ilhas Salomão; Islas Salomón
sc syc Seychelles; Republic of Seychelles; República de Seychelles; República das Seychelles; República de las
  Seychelles
sd sdn Sudan; Republic of the Sudan; Sudão; República do Sudão; República de Sudán
se swe Sweden; Kingdom of Sweden; Suécia; Reino da Suécia; Reino de Suecia
sg sgp Singapura; Cingapura; Singapore; Republic of Singapore; República de Cingapura; República de Singapura;
  Singapur; República de Singapur
sh shn Ascension and Tristan da Cunha Saint Helena; Saint Helena; Ascensão e Tristão da Cunha Santa Helena;
  Santa Helena; Ascensión y Tristán de Acuña Santa Elena; Santa Elena
si svn Eslovênia; Slovenia; Republic of Slovenia; República da Eslovênia; República de Eslovenia
sj sjm Svalbard and Jan Mayen; Svalbard e a Ilha de Jan Mayen; Svalbard e Jan Mayen; Svalbard y Jan Mayen
sk svk Slovakia; Slovak Republic; Eslováquia; República da Eslováquia; República Eslovaca
sl sle Sierra Leone; Republic of Sierra Leone; Serra Leoa; República de Serra Leoa; República da Serra Leoa;
  Sierra Leona; República de Sierra Leona
sm smr San Marino; Republic of San Marino; São Marino; República de São Marino; República de San Marino
sn sen Senegal; Republic of Senegal; República do Senegal; República del Senegal
so som Somalia; Federal Republic of Somalia; República Federativa da Somália; República Federal da Somália;
  República Federal de Somalia
sr sur Suriname; Republic of Suriname; República do Suriname; Surinám; República de Surinam
ss ssd South Sudan; Republic of South Sudan; Sudão do Sul; República do Sudão do Sul; Sudán del Sur; República
  de Sudán del Sur
st stp São Tomé e Príncipe; Sao Tome and Principe; Democratic Republic of Sao Tome and Principe; República
  Democrática de São Tomé e Príncipe; Santo Tomé y Príncipe; República Democrática de Santo Tomé y Príncipe
sv slv El Salvador; Republic of El Salvador; República de El Salvador
sx sxm Sint Maarten (Dutch part); São Martim (parte holandesa); São Martinho (Países Baixos); Isla de San Martín
  (zona holandesa); Isla de San Martín
sy syr Syria; Síria; Syrian Arab Republic; República Árabe da Síria; República Árabe Síria; República árabe de
  Siria
sz swz Swaziland; Suazilândia; Essuatíni; Esuatini; Eswatini; Kingdom of Eswatini; Reino da Suazilândia; Reino
  de Esuatini
tc tca Turks and Caicos Islands; Ilhas Turks e Caicos; Ilhas Turcas e Caicos; Islas Turcas y Caicos
td tcd Chad; Republic of Chad; Chade; República do Chade; República del Chad
tf atf French Southern Territories; Territórios Franceses do Sul; Territorios Franceses del Sur
tg tgo Togo; Togolese Republic; República de Togo; República Togolesa
th tha Thailand; Kingdom of Thailand; Tailândia; Reino da Tailândia; Reino de Tailandia
tj tjk Tajikistan; Republic of Tajikistan; Tadjiquistão; República do Tadjiquistão; Tajiquistão; República do
  Tajiquistão; Tayikistán; República de Tayikistán
tk tkl Tokelau; Toquelau
tl tls East Timor; Timor Leste; Timor Oriental; Democratic Republic of Timor-Leste; República Democrática do
  Timor Leste; República Democrática de Timor-Leste; República Democrática de Timor Oriental
tm tkm Turkmenistan; Turcomenistão; Turquemenistão
tn tun Tunisia; Republic of Tunisia; República da Tunísia; Tunez; República de Túnez
to ton Tonga; Kingdom of Tonga; Reino de Tonga
tr tur Turkey; Turquia; Türkiye; Republic of Türkiye; República da Turquia; República de Turquía
tt tto Trinidad and Tobago; Republic of Trinidad and Tobago; Trinidade e Tobago; República de Trinidade e
  Tobago; Trindade e Tobago; Trinidad y Tobago; República de Trinidad y Tobago
tv tuv Tuvalu
tw twn Taiwan; Province of China Taiwan; Província da China Taiwan; Provincia de China Taiwán
tz tza Tanzania; United Republic of Tanzania; República Unida da Tanzânia; República Unida de Tanzania
ua ukr Ucrânia; Ukraine
ug uga Uganda; Republic of Uganda; República de Uganda; República do Uganda
um umi United States Minor Outlying Islands; Ilhas Menores Distantes dos Estados Unidos; Islas Ultramarinas
  Menores de Estados Unidos
us usa United States of America; EUA; EE. UU.; EE.UU.A.; Estados Unidos da América; Estados Unidos de América;
  Estados Unidos da America do Norte; America; United States; Estados Unidos
uy ury Uruguay; Eastern Republic of Uruguay; Uruguai; República Oriental do Uruguai; República Oriental del
  Uruguay
uz uzb Uzbekistan; Republic of Uzbekistan; Uzbequistão; República do Uzbequistão; República de Uzbekistán
va vat Vatican; Vatican City; Vaticano; Cidade do Vaticano; Ciudad del Vaticano; Holy See (Vatican City State);
  Santa Sé (Cidade-Estado do Vaticano); Santa Sé (Estado da Cidade do Vaticano); Santa Sede (Ciudad Estado del
  Vaticano); Holy See; Santa Sé; Santa Sede
vc vct Saint Vincent and the Grenadines; São Vicente e Granadinas; San Vicente y las Granadinas
ve ven Venezuela; Bolivarian Republic of Venezuela; República Bolivariana da Venezuela; República Bolivariana de
  Venezuela
vg vgb British Virgin Islands; Ilhas Virgens Britânicas; Islas Vírgenes Británicas
vi vir US Virgin Islands; Ilhas Virgens Americanas; Islas Vírgenes de los Estados Unidos; Virgin Islands of the
  United States; Ilhas Virgens dos Estados Unidos
vn vnm Vietnam; Vietnã; Vietname; Socialist Republic of Viet Nam; República Socialista do Vietnã; República
  Socialista do Vietname; República Socialista de Vietnam
vu vut Vanuatu; Republic of Vanuatu; República de Vanuatu
wf wlf Wallis and Futuna; Wallis e Futuna; Wallis y Futuna
ws wsm Samoa; Independent State of Samoa; Estado Independente de Samoa; Estado Independiente de Samoa
ye yem Yemen; Republic of Yemen; Iêmen; República do Iêmen; República del Yemen
yt myt Mayotte; Maiote
za zaf África do Sul; Sudáfrica; South Africa; Republic of South Africa; República da Africa do Sul; República
  de Sudáfrica
zm zmb Zambia; Republic of Zambia; República de Zâmbia; República da Zâmbia
zw zwe Zimbabwe; Republic of Zimbabwe; Zimbábue; República de Zimbábue; República do Zimbábue
"""


def rows() -> Iterator[tuple[str, str, list[str]]]:
    """Alpha-2, alpha-3 and names of every country."""
    for row in _TABLE.strip().replace("\n  ", " ").splitlines():
        code, longer, names = row.split(" ", 2)
        yield code, longer, names.split("; ")


@cache
def _index() -> dict[str, str]:
    return {fold(word): code for code, longer, names in rows() for word in (code, longer, *names)}


def alpha2(text: str) -> str | None:
    """ISO 3166-1 alpha-2 in lower case of a code or name, or None for what is not a country."""
    found = _index().get(fold(text))
    if found is None and "," in text:  # ISO inverts some names: "Bolivia, Plurinational State of"
        head, _, tail = text.partition(",")
        found = _index().get(fold(tail + head))
    return found
