// Written by Tests/Goldens/peer/merges.py, which trained it.

extension BytePairVocabulary {
  /// Pairs in the order in which they were merged, in GPT-2's letters for bytes; two spaces between pairs.
  static let trainedMerges = #"""
    Ġ s  e r  a n  i n  Ġ w  s t  Ġ b  Ġ t  Ġ h  s i  Ġ c  in g  o r  Ġ l  st an  s si  ssi stan  ssistan t  o u \#
    s er  Ġ d  a r  e e  o n  o w  Ġ a  Ġ f  Ġ p  Ġw h  o o  . .  Ġ u  Ġt h  i t  Ġ n  a t  Ġ A  Ġ r  l e  o l \#
    ĠA ssistant  Ġ U  Ġu ser  o t  e m  st em  y stem  Ġs ystem  Ġ m  i g  a l  Ġa ssistant  ĠU ser  Ġs h  s e  o m \#
    a s  Ġ e  ' t  oo k  an d  Ġb e  g e  Ġd o  e s  Ċ Ċ  .. .  r ee  Ġ y  Ġc ol  o f  Ġ g  ' s  a d  oo d  e n \#
    er e  Ġ on  i s  h t  ig ht  q u  a c  ou r  Ġn e  Ġ an  Ġl ook  Ġf l  Ġt o  ot t  i r  Ġ or  ow n  Ġc h  in d \#
    a u  ar e  ou n  Ġb ott  Ġe y  a p  d e  si de  Ġm an  a y  k ing  x t  Ġr e  Ġwh i  al l  ol d  Ġs ee  ac k \#
    it t  u n  Ġ in  Ġp l  as s  i m  ou t  Ġf r  Ġth e  Ġl e  Ġe ar  Ġw ood  Ġ it  Ġb r  Ġs t  v er  Ġsh ow  Ġ out \#
    Ġh and  Ġ qu  Ġn o  Ġb u  it e  Ġb l  Ġg r  b e  Ġc an  ow er  h ind  ou se  u p  a ir  a v  av e  Ġdo es \#
    Ġfl ower  ap er  c h  o or  Ġh ave  Ġh ouse  an ge  f t  t h  Ġcol or  c r  cr i  es cri  i d  o st  Ġbe hind \#
    Ġc up  Ġth at  e xt  escri be  ig n  Ġch air  Ġm ost  ay ing  b er  f ee  l y  m ber  of fee  or t  u mber \#
    Ġd escribe  Ġfl oor  Ġp aper  Ġwh y  au se  c ause  e st  est i  esti on  s on  w o  Ġc at  Ġit s  Ġs e  Ġs ign \#
    i l  il d  in king  of t  or d  r e  r inking  Ġbott le  Ġcol d  Ġey e  Ġf ood  Ġn umber  Ġor ange  Ġpl aying \#
    Ġre d  Ġse a  Ġu p  a ge  e l  ee p  eep ing  el l  er son  im age  l eeping  oun g  Ġ are  Ġb ack  Ġbe cause \#
    Ġcol our  Ġd id  Ġn ot  Ġqu estion  Ġsh ort  Ġt wo  Ġwh ere  Ġwhi le  ad ing  ar k  ell ow  i f  it h  m all \#
    o on  old ing  om e  p oon  Ġc offee  Ġch ild  Ġh ere  Ġle ft  Ġs mall  Ġth is  Ġw ord  o ad  o p  oun d  u e \#
    Ġbott om  Ġd rinking  Ġh as  Ġman y  Ġon ly  Ġw ith  and ing  au c  auc er  e op  eop le  itt le  l ou  lou d \#
    qu are  Ġb ook  Ġey es  Ġf or  Ġfr om  Ġh ad  Ġs oft  Ġshow s  Ġst anding  ar m  ir d  m s  o at  on t  or e \#
    un n  Ġ and  Ġa s  Ġb ird  Ġear s  Ġh e  Ġl ittle  Ġr oad  Ġs leeping  Ġs ome  Ġs poon  Ġth en  Ġwood en \#
    Ġy oung  a b  ab le  h ot  itt ing  l ass  om an  Ġ I  Ġ image  Ġ of  Ġd ark  Ġd own  Ġl in  Ġm ore  Ġp eople \#
    Ġr ound  Ġs itting  Ġs quare  Ġw as  at er  c t  ct u  hot o  i ctu  k y  or se  unn ing  Ġb y  Ġbl ue  Ġbr own \#
    Ġc loud  Ġh olding  Ġh ow  Ġne ar  Ġp erson  Ġw e  Ġwhi ch  Ġy ellow  al king  at e  o ver  s o  t er  t ter \#
    Ġ if  Ġb oat  Ġdo g  Ġfr ont  Ġlin e  Ġon e  Ġout side  Ġp ictu  Ġre ading  Ġs o  Ġt able  Ġt ext  Ġw all \#
    Ġw oman  E R  S ER  on g  ree t  Ġ is  Ġbr ight  Ġg lass  Ġgr ass  Ġin side  Ġl ight  Ġl ong  Ġp hoto  a in \#
    ee n  r ain  ree n  s w  sw er  t w  tw een  ver y  Ġbu s  Ġpictu re  Ġr unning  Ġs aucer  Ġsh e  Ġt rain \#
    Ġthe y  Ġw arm  A N  AN T  I S  IS T  IST ANT  S ISTANT  S SISTANT  d er  e t  et al  im al  Ġ over  Ġbu t \#
    Ġh orse  Ġle tter  Ġne xt  Ġno se  Ġr ight  Ġs ky
    """#
}
